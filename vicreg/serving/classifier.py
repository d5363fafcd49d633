"""Serving: an encoder and a probe's head in one, from images to probabilities of classes, read from their two files.

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
from torch import nn

from vicreg.evaluation import probe_files
from vicreg.io import code_digest, weights
from vicreg.nn import encoder

MODEL, HEADS, CHOICE = "encoder.safetensors", "head.safetensors", "choice.json"  # in the folder that MLflow keeps
BATCH = 1000  # images that are in memory as floats at once

Top1 = Mapping[str, Mapping[str, Mapping[str, float]]]


class Classifier:
    """Images (N, 32, 32, 3) uint8 -> probabilities (N, C) float32, on the CPU.

    model, heads: files of an encoder, and of what probes have learned from its representations.
    slot, probe: which of these heads.
    Raises ValueError where a file is damaged, or where the heads belong to another encoder.
    """

    def __init__(self, model: Path, heads: Path, slot: str, probe: str):
        self.model, self.slot, self.probe = model, slot, probe
        self.encoder: nn.Module = encoder.load(model)
        self.head = probe_files.load(heads, slot, probe)
        self.description, self.judged = encoder.describe(model), probe_files.describe(heads)
        if self.description["digest"]["encoder"] != self.judged.get("weights"):
            raise ValueError(f"{heads} belongs to other weights than those in {model}: {probe_files.AGAIN}")

    @torch.inference_mode()
    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        batches = encoder.representations(self.encoder, pixels, torch.device("cpu"), BATCH)
        return torch.cat([self.head(batch) for batch in batches]).numpy()

    def predict(self, model_input: np.ndarray, params: Any = None) -> np.ndarray:
        """The same, as MLflow calls it."""
        return self(model_input)

    @property
    def about(self) -> dict[str, Any]:
        """Encoder, probe, accuracy on the test images, and the digest of the encoder's weights."""
        top1 = self.judged["top1"][self.slot][self.probe]
        return {"encoder": self.judged["encoder"], "probe": self.probe, "top1": top1, "weights": self.judged["weights"]}

    def identity(self, about: Mapping[str, Any]) -> str:
        """Hex SHA-256 of all that shapes the answers, and of what is said about them."""
        code = code_digest.digest("vicreg.serving.classifier", f"vicreg.backbones.{self.description['backbone']}")
        parts = [weights.digest(self.encoder), weights.digest(self.head), self.head.settings]
        return hashlib.sha256(json.dumps([parts, about, code], sort_keys=True).encode()).hexdigest()


def save(model: Classifier, folder: Path) -> None:
    """Write what `_load_pyfunc` reads, without the heads of other probes."""
    folder.mkdir(parents=True)
    shutil.copyfile(model.model, folder / MODEL)
    probe_files.save(folder / HEADS, {(model.slot, model.probe): model.head}, model.judged)
    choice = {"slot": model.slot, "probe": model.probe}
    (folder / CHOICE).write_text(json.dumps(choice), encoding="utf-8")


def _load_pyfunc(path: str) -> Classifier:
    """Read what `save` wrote; the name is MLflow's."""
    choice = json.loads(Path(path, CHOICE).read_text(encoding="utf-8"))
    return Classifier(Path(path, MODEL), Path(path, HEADS), choice["slot"], choice["probe"])


def best(top1: Top1, slot: str) -> tuple[str, str]:
    """The encoder and the probe with the highest top-1 on the dataset of this slot; of equals the first.

    top1: by encoder, slot and probe. Raises ValueError where no encoder ran.
    """
    found = {(name, probe): score for name, slots in top1.items() for probe, score in slots.get(slot, {}).items()}
    if not found:
        raise ValueError(f"no encoder ran on the dataset `{slot}`, so there is nothing to publish")
    return max(found, key=lambda entry: found[entry])
