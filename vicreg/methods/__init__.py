"""Pretraining methods: one file each, with objective, heads and parameters. See `vicreg.nn.method` for the contract."""
