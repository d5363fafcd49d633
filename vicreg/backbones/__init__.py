"""Backbones: the networks that are kept. A file here is a name for `backbone:` in params.yaml.

Each member offers `build(**parameters) -> nn.Module` that maps images (N, 3, H, W) in [0, 1], float, normalised,
to representations y (N, D), and has an attribute `dimension` = D.
"""
