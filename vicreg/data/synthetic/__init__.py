"""Drawn pictures: shapes and textures, so that everything runs without a network."""
