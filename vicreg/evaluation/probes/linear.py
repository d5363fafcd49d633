"""The linear probe: one layer by stochastic gradient descent, as in the student report (its section 3)."""

from collections.abc import Iterator

import torch

from vicreg.evaluation.classifiers.linear import LinearClassifier
from vicreg.evaluation.metrics import fit_scaler
from vicreg.evaluation.probe import Probe
from vicreg.evaluation.sgd import SGD
from vicreg.io.section import NonNegative, Positive


class Linear(Probe):
    """SGD on the cross-entropy; the layer starts at N(0, 0.01) and zero bias."""

    class Params(SGD):
        """The rate and the weight decay, beside those of every probe that is trained by steps."""

        lr: Positive = 0.3
        weight_decay: NonNegative = 1e-6

    def fit(self, features, labels, *, num_classes, seed, device) -> Iterator[LinearClassifier]:
        p, generator = self.params, torch.Generator().manual_seed(seed)
        mean, scale = fit_scaler(features, p.standardize)
        arrays = ((features - mean) * scale, labels, mean, scale)
        x, y, *scaler = (torch.from_numpy(array).to(device) for array in arrays)
        weight = (torch.randn(num_classes, x.shape[1], generator=generator) * 0.01).to(device).requires_grad_()
        bias = torch.zeros(num_classes, device=device, requires_grad=True)
        rates = (p.lr, p.weight_decay)
        for _ in p.train([weight, bias], lambda x: torch.addmm(bias, x, weight.T), (x, y), rates, generator):
            yield LinearClassifier(scaler[0], scaler[1], weight, bias)
