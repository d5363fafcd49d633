"""Sources: where labelled images come from. Each file here is a source that `params.yaml` can name.

Each offers `load(dataset, *, folder, scratch, fraction, seed) -> Images` and ignores what it does not need.
"""
