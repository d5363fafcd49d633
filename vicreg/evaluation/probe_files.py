"""Files of heads: all that the probes of one encoder have learned, each by its dataset's slot and its probe's name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from vicreg.io import plugins, weights

AGAIN = "run `dvc repro linear_eval` again"


def save(path: Path, found: Mapping[tuple[str, str], nn.Module], description: Mapping[str, Any]) -> None:
    """Write heads by (slot, probe) as safetensors, with a digest of each and a description."""
    parts = {f"{slot}/{probe}": head for (slot, probe), head in found.items()}
    built = {name: {"kind": kind(head), "settings": head.settings} for name, head in parts.items()}
    weights.save(path, parts, {**description, "heads": built})


def describe(path: Path) -> dict[str, Any]:
    """What `save` or `vicreg.io.weights.save_not_run` was told; raises ValueError for a file that neither wrote."""
    return weights.describe(path, "a file of heads", AGAIN)


def load(path: Path, slot: str, probe: str) -> nn.Module:
    """Return a head from the file at `path`; raises ValueError where it is not there, damaged or changed."""
    name, about = f"{slot}/{probe}", describe(path)
    try:
        built = about["heads"][name]
        head = plugins.member("heads", built["kind"]).Head(**weights.tensors(path, name), **built["settings"])
    except (LookupError, TypeError, SafetensorError) as error:
        raise ValueError(f"{path} holds no head {json.dumps(name)} that can be built ({error!r}): {AGAIN}") from error
    return weights.trusted(head, name, path, about.get("digest", {}).get(name), AGAIN)


def kind(head: nn.Module) -> str:
    """The name of its file in vicreg/heads/, by which `load` finds it; raises ValueError for another module."""
    family, _, name = type(head).__module__.rpartition(".")
    if family != "vicreg.evaluation.classifiers":
        known = ", ".join(sorted(plugins.names("heads")))
        raise ValueError(f"{type(head).__name__} is no head: a probe must return one of vicreg/heads/: {known}")
    return name
