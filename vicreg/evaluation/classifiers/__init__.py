"""Heads: what a probe has learned, from representations to probabilities of classes. A file here is a kind of head.

Each offers `Head`, a module that is called with y (N, D) float32 and returns probabilities (N, C). Its `scores(y)`
(N, C) are what the probe ranks classes by: they tell apart what probabilities round to 0. It is built again from its
tensors and its `settings`, as keywords.
"""
