"""Untrained: the backbone as its seed initialised it, the floor of every table."""

from torch import nn

from vicreg.nn.encoder import Encoder

LEARNS = False


class Untrained(nn.Module):
    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder


def build(encoder: Encoder, *, width: int) -> nn.Module:
    """Return a module that holds `encoder` and no head; `width` is that of heads, and not needed."""
    return Untrained(encoder)
