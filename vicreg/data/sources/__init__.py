"""Sources: where images come from. Each file here is one that `params.yaml` can name; see `vicreg.data.source`."""
