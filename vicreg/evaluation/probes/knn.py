"""The k-NN probe: the nearest training images by cosine vote for their class (Wu et al., CVPR 2018, section 3.4)."""

from collections.abc import Iterator

import torch
from torch.nn.functional import normalize

from vicreg.evaluation.classifiers.neighbors import NeighborsClassifier
from vicreg.evaluation.probe import Probe
from vicreg.io.section import Count, Positive, Section


class KNN(Probe):
    """k nearest neighbors by cosine, Wu et al., CVPR 2018."""

    class Params(Section):
        """Votes are exp(similarity / temperature) of the k nearest; of all where there are fewer than k."""

        k: Count = 200
        temperature: Positive = 0.07

    def fit(self, features, labels, *, num_classes, seed, device) -> Iterator[NeighborsClassifier]:
        self.chosen = {"k": min(self.params.k, len(features))}
        bank = normalize(torch.from_numpy(features).to(device))
        settings = {"num_classes": num_classes, "temperature": self.params.temperature, **self.chosen}
        yield NeighborsClassifier(bank, torch.from_numpy(labels).to(device), **settings)
