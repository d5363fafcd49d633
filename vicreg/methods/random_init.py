"""Random initialization: the backbone as its seed initialized it, the floor of every table."""

from vicreg.nn.method import Method


class RandomInit(Method):
    """The encoder as it began."""

    trains = False
    kept = ()
