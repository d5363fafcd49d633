"""A pretraining that cannot be lost."""
