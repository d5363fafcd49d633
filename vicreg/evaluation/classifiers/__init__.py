"""Classifiers: what probes have learned. A file here is a kind of classifier, see `vicreg.evaluation.classifier`."""
