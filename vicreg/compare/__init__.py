"""Several studies or experiments beside each other."""
