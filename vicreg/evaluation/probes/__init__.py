"""Probes: classifiers on frozen representations. A file here is a name in `probes:` of params.yaml.

Each member offers `guess(train, labels, test, *, classes, seed, device, **parameters) -> (epochs, settings, head)`,
where train (N, D) and test (M, D) are float32 features, labels (N,) int64 those of `train`, epochs a list of guesses
(M, k), the classes in order of score after each epoch (or once), settings what the probe chose, and head what it has
learned in the end, one of `classifiers`. Test labels never reach a probe, so nothing can be tuned on them.
"""
