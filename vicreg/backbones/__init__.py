"""Backbones: the networks that are kept. A file here is a name for `backbone:` in params.yaml.

Each member offers `build(*, width, **parameters) -> nn.Module`: normalised images (N, 3, H, W) -> representations y
(N, D), with D as its attribute `dimension`.
"""
