"""An encoder in a folder of its own, for use without this project: safetensors, ONNX, and a model card."""

import json
import shutil
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vicreg.data import images
from vicreg.evaluation import probe_files
from vicreg.io import description, weights
from vicreg.nn.encoder import Encoder
from vicreg.serving.model_card import model_card
from vicreg.serving.predict import classes_of, exported_probes
from vicreg.study import builders
from vicreg.study.paths import ROLES, study_of

OPSET = 20  # of ONNX; onnxruntime 1.17 and newer know it
ATOL = 1e-4  # how far ONNX may be from PyTorch, of the largest number where that exceeds 1
NUM_SAMPLES = 100  # images that both are tried on


SMALL = 1 << 20  # bytes of a probe that is exported: k nearest neighbors keep every representation


def export(model: Path, folder: Path, *, onnx: bool = True, half: bool = False) -> list[str]:
    """Write the encoder in the file `model` into `folder`; returns a line on each file.

    <name>.safetensors: the very file, with its recipe as metadata; config.json: its input and recipe, to read;
    <name>-probes.safetensors: what its study's small probes learned, for `vicreg predict`; README.md: the model card;
    <name>.onnx: images (N, 3, H, W) float32 in [0, 1] -> representations (N, D) float32.
    half: the encoder alone, in half precision.
    Raises ValueError for a file that holds no encoder, and where ONNX computes something else than PyTorch.
    """
    recipe, encoder = builders.describe(model), builders.load_encoder(model)
    copy, config, onnx_file, card = (folder / f for f in (model.name, "config.json", f"{model.stem}.onnx", "README.md"))
    if card.exists() and not copy.exists():
        raise ValueError(f"{folder} holds a README.md, and no {copy.name} of an earlier export: name another folder")
    if half and copy.absolute() == model.absolute():
        raise ValueError(f"{folder} holds the encoder itself, which half precision would replace: name another folder")
    if half:
        method = builders.load_method(model)
        folder.mkdir(parents=True, exist_ok=True)
        weights.save(copy, {"encoder": method.encoder}, {k: v for k, v in recipe.items() if k != "digest"}, half=True)
        recipe, encoder = builders.describe(copy), builders.load_encoder(copy)
    elif copy.absolute() != model.absolute():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model, copy)
    size = recipe["data"]["image_size"]
    inputs = {"layout": f"N, 3, {size}, {size} in RGB", "range": [0, 1]}
    if type(encoder) is Encoder:  # and no form of it that sees patches or other colors
        inputs |= {"mean": encoder.mean.tolist(), "std": encoder.std.tolist()}
    content = {"input": inputs, "num_features": encoder.num_features, "recipe": recipe}
    config.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [f"{copy}: the weights, digest {recipe['digest']['encoder'][:16]}", f"{config}: their recipe and input"]
    lines += export_probes(model, copy, recipe)
    onnx_file.unlink(missing_ok=True)  # of other weights perhaps
    difference = None
    if onnx:
        program = to_onnx(encoder, recipe)
        difference = compare(program, encoder, sample_inputs(model, size), model)
        onnx_file.write_bytes(program)
        lines.append(f"{onnx_file}: within {difference:.1e} of PyTorch on {NUM_SAMPLES} images")
    card.write_text(model_card(model, recipe, encoder.num_features, difference), encoding="utf-8")
    return [*lines, f"{card}: the model card"]


def export_probes(model: Path, copy: Path, recipe: dict[str, Any]) -> list[str]:
    """Write the small probes of the encoder's study that were trained on these very weights, beside its copy."""
    paths, file = study_of(model), exported_probes(copy)
    if copy.absolute() != model.absolute():
        file.unlink(missing_ok=True)  # of other weights perhaps
    about = probe_files.describe(paths.probes(model.stem)) if paths and paths.probes(model.stem).is_file() else {}
    if about.get("weights") != description.identity(recipe) or paths is None:
        return []
    if not all((paths.data(role) / "about.json").is_file() for role in ROLES):
        return ["no probes: the datasets that they know are not here (`uv run dvc pull` fetches them)"]
    names = [tuple(name.split("/")) for name in about["classifiers"]]
    classifiers = {name: probe_files.load(paths.probes(model.stem), *name) for name in names}
    size = {name: sum(t.nbytes for t in probe.state_dict().values()) for name, probe in classifiers.items()}
    small = {name: probe for name, probe in classifiers.items() if size[name] <= SMALL}
    about = {key: about[key] for key in ("encoder", "weights", "top1", "val_top1")}
    for scores in (about["top1"], about["val_top1"]):
        for role in scores:
            scores[role] = {probe: value for probe, value in scores[role].items() if (role, probe) in small}
    about["datasets"] = {role: asdict(it) for role, it in classes_of(paths).items() if it.classes}
    probe_files.save(file, small, about)
    return [f"{file}: {', '.join(sorted({probe for _, probe in small}))}, for `uv run vicreg predict`"]


def to_onnx(encoder: Encoder, recipe: dict[str, Any]) -> bytes:
    """The encoder in ONNX, its normalization inside, for any number of images; raises ValueError without the extra."""
    if missing := [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]:
        raise ValueError(f"ONNX needs {', '.join(missing)}: run `uv sync --extra onnx`, or leave it out with --no-onnx")
    size = recipe["data"]["image_size"]
    shapes = {"images": {0: torch.export.Dim("batch")}}
    names: Any = {"input_names": ["images"], "output_names": ["representations"], "dynamic_shapes": shapes}
    example = (torch.zeros(2, 3, size, size),)
    program = torch.onnx.export(encoder, example, dynamo=True, opset_version=OPSET, verbose=False, **names)
    assert program is not None  # it is where dynamo is
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # where in this machine's files each line of code lies
    model.metadata_props.add(key="recipe", value=json.dumps(recipe, sort_keys=True))
    return model.SerializeToString(deterministic=True)


def compare(content: bytes, encoder: Encoder, samples: np.ndarray, model: Path) -> float:
    """The largest difference between ONNX and PyTorch on images (N, 3, H, W) float32; ValueError where above ATOL."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    actual = np.concatenate([session.run(None, {"images": part})[0] for part in np.split(samples, [1, 8])])
    with torch.inference_mode():
        expected = encoder.cpu()(torch.from_numpy(samples)).numpy()
    difference = float(np.abs(actual - expected).max())
    if not difference <= ATOL * max(1.0, float(np.abs(expected).max())):
        problem = f"differs from PyTorch by {difference:.2g}, more than {ATOL:g}, and was not written"
        raise ValueError(f"the ONNX of {model} {problem}: a layer may be translated wrongly, or use --no-onnx")
    return difference


def sample_inputs(model: Path, size: int) -> np.ndarray:
    """NUM_SAMPLES images (N, 3, size, size) float32 in [0, 1]: half random, half the study's own if it has any."""
    samples = np.random.default_rng(0).random((NUM_SAMPLES, 3, size, size), dtype=np.float32)
    paths = study_of(model)
    if paths and (paths.data("primary") / "about.json").is_file():
        own = images.load(paths.data("primary")).pixels[: NUM_SAMPLES // 2]
        samples[: len(own)] = own.transpose(0, 3, 1, 2).astype(np.float32) / 255
    return samples
