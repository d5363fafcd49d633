"""Weights: modules in one safetensors file, with a description, and a digest of each that is checked when read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from vicreg.io import atomic
from vicreg.io.errors import reason

Part = TypeVar("Part", bound=nn.Module)


def digest(module: nn.Module) -> str:
    """Hex SHA-256 over the sorted names, dtypes, shapes and bytes of all weights and statistics, on any device."""
    return hashlib.sha256(json.dumps(sorted(digests(module).items())).encode()).hexdigest()


def digests(module: nn.Module) -> dict[str, str]:
    """By its name in the module, the hex SHA-256 of each tensor's dtype, shape and bytes, in logical order."""
    hashes = {}
    for name, tensor in module.state_dict().items():
        content = bits(tensor).numpy().tobytes()
        hashes[name] = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode() + content).hexdigest()
    return hashes


def bits(tensor: Tensor) -> Tensor:
    """The bytes (B,) uint8 of a tensor on any device, in logical order; of one on the CPU perhaps no copy."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


@torch.no_grad()
def round_to_half(module: nn.Module) -> None:
    """Round the weights, but not biases and statistics, to numbers that float16 has; they stay float32."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            parameter.copy_(parameter.half())


def save(path: Path, parts: Mapping[str, nn.Module], description: Mapping[str, Any], *, half: bool = False) -> None:
    """Write the modules under their names, which hold no dot, and the description with the `digest` of each.

    half: whether weights, of two dimensions and more, are first rounded to float16, and written so: in half the bytes.
    """
    for module in parts.values() if half else ():
        round_to_half(module)
    states = {f"{part}.{key}": value for part, it in parts.items() for key, value in it.state_dict().items()}
    tensors = {key: value.detach().cpu().contiguous() for key, value in states.items()}
    tensors = {key: value.half() if half and value.ndim > 1 else value for key, value in tensors.items()}
    about = {**description, "digest": {part: digest(it) for part, it in parts.items()}} if parts else description
    with atomic.writing(path) as stream:
        stream.write(to_bytes(tensors, {"description": json.dumps(about, sort_keys=True)}))


def save_not_run(path: Path, why: str) -> None:
    """Write a file without weights that says why there are none."""
    save(path, {}, {"not_run": why})


def tensors(path: Path, name: str) -> dict[str, Tensor]:
    """The tensors that the file holds under `name`; raises SafetensorError for a damaged file."""
    return {key.partition(".")[2]: value for key, value in load_file(path).items() if key.startswith(f"{name}.")}


def load_parts(module: Part, path: Path, digests: Mapping[str, str], again: str) -> Part:
    """Return `module` with the parts that the file holds; ValueError unless they have these `digests`."""
    try:
        module.load_state_dict(load_file(path), strict=False)
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold what it describes ({reason(error)}): {again}") from error
    for name in {"encoder": None, **digests}:  # without its digest an encoder is not trusted either
        trusted(module.get_submodule(name), name, path, digests.get(name), again)
    return module


def trusted(module: Part, name: str, path: Path, known: str | None, again: str) -> Part:
    """Return `module`, read from the file at `path`; raises ValueError unless its digest is the known one."""
    if known != digest(module):
        problem = "its weights are not those that were saved" if known else "it has no digest to compare its weights by"
        raise ValueError(f"the {name} in {path} cannot be trusted, {problem}: {again}")
    return module
