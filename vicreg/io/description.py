"""What files of weights say of themselves, read without torch: a mistake is told before that is imported."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vicreg.io.errors import reason

RERUN_PRETRAIN = "run `dvc repro pretrain` again"
RERUN_PROBES = "run `dvc repro linear_eval` again"


def describe(path: Path, kind: str, again: str) -> dict[str, Any]:
    """What `weights.save` or `save_not_run` was told; ValueError for other files: `kind`, which `again` makes."""
    try:
        with safe_open(path, framework="np") as file:
            return dict(json.loads(file.metadata()["description"]))
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not {kind} of this project ({reason(error)}): {again}") from error


def encoder(path: Path) -> dict[str, Any]:
    """The recipe of a file of weights and `digest` of each part; raises ValueError for other files."""
    return describe(path, "an encoder", RERUN_PRETRAIN)


def probes(path: Path) -> dict[str, Any]:
    """Of a file of classifiers, the encoder, accuracies and settings; raises ValueError for other files."""
    return describe(path, "a file of classifiers", RERUN_PROBES)


def probes_of(encoder_file: Path, probe_file: Path) -> dict[str, Any]:
    """The description of probes; raises ValueError where they were trained on another encoder than that in the file."""
    about = probes(probe_file)
    if identity(encoder(encoder_file)) != about.get("weights"):
        raise ValueError(f"{probe_file} belongs to other weights than those in {encoder_file}: run `dvc repro`")
    return about


def identity(description: Mapping[str, Any]) -> str:
    """What tells representations apart: the encoder's digest and, of a method with several forms, the one evaluated."""
    form = description.get("method", {}).get("representation")
    return f"{description['digest']['encoder']} {form or ''}".rstrip()
