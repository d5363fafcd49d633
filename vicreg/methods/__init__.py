"""Methods: an objective and its head. A file here is a name for `method:` in params.yaml.

A member offers `build(encoder, *, width, **parameters) -> nn.Module`: a module that holds `encoder` and, if it has one,
`projector`. Where `LEARNS` is true the module is called with views (2N, 3, H, W) in [0, 1], first views before second
ones, and returns a dictionary of scalar tensors: `loss` is minimised, all are recorded. It may hold `embeddings` too,
(2N, D) and detached, for the indicators of collapse. What a loss needs of a whole batch passes through
`parallel.gathered`, so that several processes compute the loss of one.
"""
