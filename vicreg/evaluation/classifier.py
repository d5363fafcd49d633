"""The contract of a classifier: what a probe has learned, from representations to probabilities of classes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vicreg.evaluation.metrics import topk


class Classifier(nn.Module):
    """Representations (N, D) float32 -> probabilities (N, C). A member of `classifiers/` is one subclass in a file."""

    settings: dict[str, Any]  # with the tensors the keywords by which it is built again

    def __init__(self, tensors: dict[str, Tensor], **settings: Any):
        super().__init__()
        self.settings = settings
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.detach().clone())

    def scores(self, features: Tensor) -> Tensor:
        """Scores (N, C), by which classes are ranked: they tell apart what probabilities round to 0."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        return self.scores(features).softmax(dim=1)

    @torch.inference_mode()
    def predict(self, features: np.ndarray, device: torch.device) -> np.ndarray:
        """The five likeliest classes (N, 5) of features (N, D), best first; all where there are fewer."""
        return topk(self.scores(torch.from_numpy(features).to(device)).cpu().numpy())
