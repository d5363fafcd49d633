"""Backbones: one file each, with its parameters. See `vicreg.nn.backbone` for the contract."""
