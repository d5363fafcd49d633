"""Augmentation: views of each image of a batch, on the device."""
