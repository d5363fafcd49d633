"""Probes: classifiers on frozen features. A file here is a name in `probes:`, see `vicreg.evaluation.probe`."""
