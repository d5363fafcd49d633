"""Export: an encoder in a folder of its own, for use without this project: safetensors, ONNX, and a card."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vicreg.data.images import SIDE
from vicreg.io import atomic, weights
from vicreg.nn import encoder
from vicreg.serving import model_card
from vicreg.study.paths import study_of

OPSET = 20  # of ONNX; onnxruntime 1.17 and newer know it
CLOSE = 1e-4  # how far ONNX may be from PyTorch, of the largest number where that exceeds 1
TRIED = 100  # images that both are tried on
INPUT, OUTPUT = "images", "representations"
WANTED = "install the extra `onnx` (`uv sync --extra onnx`), or leave ONNX out with --no-onnx"


def export(model: Path, folder: Path, *, onnx: bool = True) -> list[str]:
    """Write the encoder in the file `model` into `folder`; returns a line on each file.

    <name>.safetensors: the very file, with its configuration as metadata; config.json: that configuration, to read;
    <name>.onnx: images (N, 3, 32, 32) float32 in [0, 1] -> representations (N, D) float32; README.md: the model card.
    Raises ValueError for a file that holds no encoder, and where ONNX computes something else than PyTorch.
    """
    check_free(folder, model)
    frozen = encoder.load(model).eval()
    about = encoder.describe(model)
    card = model_card.Card.of(model, about)
    name = model.stem
    copy = folder / model.name
    if copy.absolute() != model.absolute():
        write(copy, model.read_bytes())
    lines = [f"{copy}: the weights, digest {weights.digest(frozen)[:16]}"]
    write(folder / "config.json", (json.dumps(configuration(frozen, about), indent=1) + "\n").encode())
    lines.append(f"{folder / 'config.json'}: what they are, and what images they expect")
    difference = None
    if onnx:
        content = as_onnx(frozen, about)
        difference = checked(content, frozen, model)
        write(folder / f"{name}.onnx", content)
        tried = "not tried: onnxruntime is not installed"
        if difference is not None:
            tried = f"within {difference:.1e} of PyTorch on {TRIED} images"
        lines.append(f"{folder / f'{name}.onnx'}: {tried}")
    elif (old := folder / f"{name}.onnx").is_file():  # of other weights perhaps, beside a card that does not tell of it
        old.unlink()
        lines.append(f"{old}: removed, it was of an earlier export")
    write(folder / "README.md", card.text(frozen.dimension, onnx=onnx, difference=difference).encode())
    return [*lines, f"{folder / 'README.md'}: the model card"]


def check_free(folder: Path, model: Path) -> None:
    """Raise ValueError where files in `folder` would be replaced that no earlier export of this encoder wrote."""
    taken = [name for name in ("README.md", "config.json") if (folder / name).exists()]
    if taken and not (folder / model.name).exists():
        raise ValueError(
            f"{folder} holds a {taken[0]}, and no {model.name} of an earlier export: name another folder with --out"
        )


def write(path: Path, content: bytes) -> None:
    with atomic.writing(path) as stream:
        stream.write(content)


def configuration(frozen: encoder.Encoder, about: dict[str, Any]) -> dict[str, Any]:
    """What a program needs to use the weights, and the description of the encoder."""
    inputs = {
        "layout": "N, 3, 32, 32 in RGB",
        "range": [0, 1],
        "mean": frozen.mean.tolist(),
        "std": frozen.std.tolist(),
    }
    return {"input": inputs, "dimension": frozen.dimension, "description": about}


def as_onnx(frozen: encoder.Encoder, about: dict[str, Any]) -> bytes:
    """The encoder in ONNX, its normalisation inside, for any number of images; raises ValueError without the extra."""
    try:
        import onnxscript  # noqa: F401 (torch.onnx needs it, and says so less clearly)
    except ImportError as error:
        raise ValueError(f"ONNX needs the package {error.name}: {WANTED}") from error
    example = torch.zeros(2, 3, SIDE, SIDE)
    dynamic = {"images": {0: torch.export.Dim("batch")}}
    program = torch.onnx.export(
        frozen,
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=dynamic,
        verbose=False,
    )
    assert program is not None  # it is where dynamo is
    content = program.model_proto
    for node in content.graph.node:
        del node.metadata_props[:]  # where in this machine's files each line of code lies
    content.metadata_props.add(key="description", value=json.dumps(about, sort_keys=True))
    return content.SerializeToString(deterministic=True)


def checked(content: bytes, frozen: encoder.Encoder, model: Path) -> float | None:
    """The largest difference between ONNX and PyTorch; None where onnxruntime is not installed.

    Raises ValueError where it is larger than CLOSE.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    images = trial(model)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = np.concatenate([session.run(None, {INPUT: part})[0] for part in np.split(images, [1, 8])])
    with torch.inference_mode():
        expected = frozen.cpu()(torch.from_numpy(images)).numpy()
    difference = float(np.abs(found - expected).max())
    if not difference <= CLOSE * max(1.0, float(np.abs(expected).max())):
        raise ValueError(
            f"the ONNX of {model} differs from PyTorch by {difference:.2g}, more than {CLOSE:g}, and was "
            "not written. Look for a layer of the backbone that torch.onnx translates otherwise, or use --no-onnx"
        )
    return difference


def trial(model: Path) -> np.ndarray:
    """TRIED images (N, 3, 32, 32) float32 in [0, 1]: half of them random, half the study's own where they are there."""
    images = np.random.default_rng(0).random((TRIED, 3, SIDE, SIDE), dtype=np.float32)
    paths = study_of(model)
    if paths and paths.data("primary").is_file():
        from vicreg.data.images import load

        own = load(paths.data("primary")).pixels[: TRIED // 2].transpose(0, 3, 1, 2).astype(np.float32) / 255
        images[: len(own)] = own
    return images
