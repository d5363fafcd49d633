"""The contract of a probe: a classifier that is trained on frozen features, and judged by others on test features."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from vicreg.evaluation.classifier import Classifier
from vicreg.io import plugins
from vicreg.io.section import Section


class Probe:
    """A way to train a classifier on features. A member of `vicreg/evaluation/probes/` is one subclass in one file."""

    Params: ClassVar[type[Section]] = Section  # its section below `probes:` in params.yaml

    def __init__(self, params: Any):
        self.params = params
        self.chosen: dict[
            str, Any
        ] = {}  # by the last `fit`: the k of few images, a regularization, whether it converged
        self.val_top1: float | None = (
            None  # accuracy on training features that `fit` held out for such a choice, if any
        )

    def fit(
        self, features: np.ndarray, labels: np.ndarray, *, num_classes: int, seed: int, device: torch.device
    ) -> Iterator[Classifier]:
        """Train on features (N, D) float32 with labels (N,) int64, and yield a classifier after each epoch, or once.

        The last one counts. Test features and labels never reach a probe, so it can tune nothing on them.
        """
        raise NotImplementedError


def build(name: str, params: Mapping[str, Any]) -> Probe:
    """Return the probe of this name, with its defaults where `params` has none; raises LookupError, ValueError."""
    probe = plugins.member_class("probes", name, Probe)
    return probe(probe.Params(**params))
