"""Methods: an objective and its head. A file here is a name for `method:` in params.yaml.

A member that learns offers `build(backbone, *, width, **parameters) -> nn.Module`. The module holds `backbone` and, if
it has one, `projector`; called with views (2N, 3, H, W), first views before second ones, it returns a dictionary of
scalar tensors, of which `loss` is minimised and the others are recorded. One that does not learn has `LEARNS = False`.
"""
