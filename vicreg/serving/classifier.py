"""An encoder and the classifier that a probe trained on it, in one: images in, probabilities of classes out.

MLflow keeps this module, with the package, in each registered model, and calls `_load_pyfunc` to have it answer.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vicreg.evaluation import probe_files
from vicreg.io import code_digest, description, plugins, weights
from vicreg.study import builders

ENCODER, PROBE = "encoder.safetensors", "probe.safetensors"  # in the folder that MLflow keeps
BATCH_SIZE = 1000  # images that are in memory as floats at once


class ImageClassifier:
    """Images (N, H, W, 3) uint8 -> probabilities (N, C) float32, on the CPU.

    encoder_file, probe_file: files of an encoder, and of what probes have learned from its representations.
    role, probe: which of these probes.
    Raises ValueError where a file is damaged, or where the probes were trained on another encoder.
    """

    def __init__(self, encoder_file: Path, probe_file: Path, role: str, probe: str):
        self.encoder_file, self.role, self.probe = encoder_file, role, probe
        self.recipe, self.metadata = builders.describe(encoder_file), description.probes_of(encoder_file, probe_file)
        self.encoder = builders.load_encoder(encoder_file)
        self.classifier = probe_files.load(probe_file, role, probe)

    @torch.inference_mode()
    def predict(self, model_input: np.ndarray, params: Any = None) -> np.ndarray:
        """The probabilities; the names of the arguments are MLflow's."""
        batches = torch.from_numpy(model_input).permute(0, 3, 1, 2).split(BATCH_SIZE)
        return torch.cat([self.classifier(self.encoder(batch)) for batch in batches]).numpy()

    @property
    def about(self) -> dict[str, Any]:
        """Encoder, probe, its accuracies on the test images and on held-out training images, the encoder's digest."""
        scores = {score: self.metadata[score][self.role][self.probe] for score in ("top1", "val_top1")}
        return {"encoder": self.metadata["encoder"], "probe": self.probe, "weights": self.metadata["weights"], **scores}

    def digest(self, about: Mapping[str, Any]) -> str:
        """Hex SHA-256 of all that shapes the answers, and of what is said about them."""
        members = (plugins.module_name(f"{kind}s", self.recipe[kind]["name"]) for kind in ("method", "backbone"))
        code = code_digest.digest("vicreg.serving.classifier", *members, type(self.classifier).__module__)
        parts = [description.identity(self.recipe), weights.digest(self.classifier), self.classifier.settings]
        return hashlib.sha256(json.dumps([parts, about, code], sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write what `_load_pyfunc` reads, without the encoder's other probes."""
        folder.mkdir(parents=True)
        shutil.copyfile(self.encoder_file, folder / ENCODER)
        probe_files.save(folder / PROBE, {(self.role, self.probe): self.classifier}, self.metadata)


def _load_pyfunc(path: str) -> ImageClassifier:
    """Read what `ImageClassifier.save` wrote; the name is MLflow's."""
    [name] = probe_files.describe(Path(path, PROBE))["classifiers"]
    return ImageClassifier(Path(path, ENCODER), Path(path, PROBE), *name.split("/"))


def best(val_top1: Mapping[str, Any], role: str) -> tuple[str, str]:
    """The encoder and the probe with the highest accuracy on held-out training images; of equals the first.

    val_top1: by encoder, role and probe. Raises ValueError where no encoder ran on the dataset of this role.
    """
    scores = {(row, probe): x for row, roles in val_top1.items() for probe, x in roles.get(role, {}).items()}
    if not scores:
        raise ValueError(f"no encoder ran on the {role} dataset, so there is no model to register")
    return max(scores, key=lambda key: scores[key])
