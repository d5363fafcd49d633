"""Encoders: normalisation, frozen representations, and the file that holds them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import digest
from safetensors.torch import load_file, save_file

from vicreg.data.images import Images
from vicreg.evaluation import pair_loss
from vicreg.io import weights
from vicreg.jobs import online_eval
from vicreg.nn import encoder
from vicreg.study import builders, params

PARAMS = params.load()


def small(name="cifar_aug", width=2):
    values = PARAMS.model_copy(
        update={
            "studies": {
                "embedded": PARAMS.studies["embedded"].model_copy(update={"width": width, "projector_width": 6})
            }
        }
    )
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    return values, builders.build(values, name, pixels), pixels


def test_channel_statistics_are_numpys_over_all_pixels():
    pixels = np.random.default_rng(0).integers(0, 200, (7, 5, 4, 3), dtype=np.uint8)
    mean, std = encoder.channel_statistics(pixels)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, (pixels / 255).std(axis=(0, 1, 2)))


def test_an_encoder_normalises_uint8_and_floats_alike():
    class Same(torch.nn.Module):
        dimension = 3

        def forward(self, x):
            return x

    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    frozen = encoder.Encoder(Same(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    expected = (images / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.4]).view(
        3, 1, 1
    )
    torch.testing.assert_close(frozen(images), expected)
    torch.testing.assert_close(frozen(images / 255), expected)


def test_representations_do_not_depend_on_the_batch_an_image_is_in_and_leave_the_encoder_as_it_was():
    _, method, pixels = small()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    whole = encoder.represent(method.encoder, pixels, torch.device("cpu"))
    parts = encoder.represent(method.encoder, pixels, torch.device("cpu"), batch_size=7)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)
    assert whole.dtype == np.float32 and whole.shape == (40, 16)
    for key, value in method.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} changed while it was frozen"


def test_the_same_seed_gives_every_encoder_of_a_backbone_the_same_initial_weights():
    (_, learned, _), (_, untrained, _) = small("cifar_aug"), small("random")
    for (key, one), other in zip(
        learned.encoder.state_dict().items(), untrained.encoder.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), key


@pytest.mark.parametrize("name", ["cifar_aug", "random"])
def test_a_saved_encoder_loads_with_every_weight_and_its_projector(tmp_path, name):
    values, method, pixels = small(name)
    encoder.save(tmp_path / "x.safetensors", method, builders.describe(values, name))
    frozen = encoder.load(tmp_path / "x.safetensors")
    head = encoder.load_projector(tmp_path / "x.safetensors", frozen.dimension)
    device = torch.device("cpu")
    np.testing.assert_array_equal(
        encoder.represent(frozen, pixels, device), encoder.represent(method.encoder, pixels, device)
    )
    assert (head is None) == (name == "random")
    if head is not None:
        z = torch.randn(3, 16)
        assert torch.equal(head.eval()(z), method.projector.eval()(z))


def test_the_same_weights_give_the_same_bytes(tmp_path):
    values, method, _ = small()
    files = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for file in files:
        encoder.save(file, method, builders.describe(values, "cifar_aug"))
    assert digest(files[0]) == digest(files[1])


@pytest.mark.parametrize("content", [b"", b"not weights", bytes(8), b"\xff" * 100])
def test_a_file_that_holds_no_encoder_is_a_clear_error(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder of this project"):
        encoder.load(tmp_path / "x.safetensors")


def test_an_encoder_that_did_not_run_says_why(tmp_path):
    weights.save_not_run(tmp_path / "x.safetensors", "not run: no weights")
    assert encoder.describe(tmp_path / "x.safetensors") == {"not_run": "not run: no weights"}


def saved(folder: Path) -> Path:
    values, method, _ = small()
    encoder.save(folder / "x.safetensors", method, builders.describe(values, "cifar_aug"))
    return folder / "x.safetensors"


def load_both(path: Path) -> None:
    encoder.load_projector(path, encoder.load(path).dimension)


@pytest.mark.parametrize("name", ["encoder.backbone.layer2.0.conv1.weight", "encoder.mean", "projector.6.weight"])
def test_one_flipped_bit_of_a_weight_is_noticed(tmp_path, name):
    path = saved(tmp_path)
    load_both(path)
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start + json.loads(content[8:start])[name]["data_offsets"][0]] ^= 1
    path.write_bytes(content)
    part = name.partition(".")[0]
    with pytest.raises(
        ValueError, match=rf"the {part} in .*x\.safetensors .*not those that were saved.*`dvc repro pre"
    ):
        load_both(path)


def rewritten(path: Path, **changes: Any) -> None:
    """Write the file again with another description, and the same tensors."""
    about = encoder.describe(path) | changes
    kept = {key: value for key, value in about.items() if value is not None}
    save_file(load_file(path), path, {"description": json.dumps(kept)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": None}, "no digest"),
        ({"digest": {}}, "no digest"),
        ({"parameters": {"width": 3, "stem": "cifar"}}, "not what the file describes.*size mismatch"),
        ({"backbone": "resnet50", "parameters": {"width": 4, "image_size": 32}}, "not what the file describes"),
        ({"backbone": "resnet7"}, "no 'resnet7'"),
        ({"backbone": None}, "backbone"),
        ({"parameters": {"depth": 3}}, "depth"),
    ],
)
def test_a_file_without_digest_or_of_another_architecture_is_refused(tmp_path, changes, message):
    path = saved(tmp_path)
    rewritten(path, **changes)
    with pytest.raises(ValueError, match=rf"x\.safetensors.*{message}.*run `dvc repro pretrain` again"):
        encoder.load(path)


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_file_that_is_cut_short_or_gone_is_refused(tmp_path, kept):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder.*run `dvc repro pretrain` again"):
        encoder.load(path)
    path.unlink()
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder.*run `dvc repro pretrain` again"):
        encoder.load(path)


def test_the_description_carries_the_digests_of_what_the_file_holds(tmp_path):
    path = saved(tmp_path)
    frozen = encoder.load(path)
    head = encoder.load_projector(path, frozen.dimension)
    assert head is not None
    assert encoder.describe(path)["digest"] == {"encoder": weights.digest(frozen), "projector": weights.digest(head)}


def test_a_digest_tells_values_names_types_and_shapes_apart_and_not_how_they_lie_in_memory():
    _, method, pixels = small()
    before = weights.digest(method)
    assert before == weights.digest(method.to(memory_format=torch.channels_last))
    encoder.represent(method.encoder, pixels, torch.device("cpu"))
    assert before == weights.digest(method)
    layer = torch.nn.Linear(2, 2, bias=False)
    others = [torch.nn.Linear(2, 2), torch.nn.Linear(4, 1, bias=False), torch.nn.Linear(2, 2, bias=False).half()]
    found = {weights.digest(module) for module in (layer, torch.nn.Sequential(layer), *others)}
    assert len(found) == 5
    method.encoder.backbone.bn1.num_batches_tracked += 1
    assert weights.digest(method) != before


class Learning(torch.nn.Module):
    """An encoder whose batch norm goes on learning in evaluation mode."""

    dimension = 3

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm.train()(x.float()).mean(dim=(2, 3))


def test_an_encoder_that_changes_while_it_is_frozen_stops_the_study_and_the_tensors_are_named():
    pixels, device = small()[2], torch.device("cpu")
    message = r"changed while it was frozen, in 3 of 5 tensors: norm\.num_batches_tracked, norm\.running_mean"
    with pytest.raises(RuntimeError, match=message):
        encoder.represent(Learning(), pixels, device)
    labels = np.arange(40, dtype=np.int64) % 4
    known = Images(pixels, labels, np.full(40, "train"), tuple("abcd"), "made up", False)
    with pytest.raises(RuntimeError, match=message):
        online_eval.evaluate(Learning(), known, 0, device)
    with pytest.raises(RuntimeError, match=message):
        pair_loss.embeddings(Learning(), torch.from_numpy(pixels).permute(0, 3, 1, 2), device)


def test_representations_that_are_not_finite_are_counted_and_stop_the_study():
    _, method, pixels = small()
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2)

    class Overflowing(torch.nn.Module):
        def forward(self, x):
            found = method.encoder(x)
            return torch.where(x[:, 0, :1, 0] > inputs[:, 0, 0, 0].median(), torch.inf, found)

    bad = int((inputs[:, 0, 0, 0] > inputs[:, 0, 0, 0].median()).sum())
    message = rf"{bad} of 40 representations are not finite: the weights diverged.*`optimizer.base_lr`.*`precision: flo"
    with pytest.raises(ValueError, match=message):
        encoder.represent(Overflowing(), pixels, torch.device("cpu"))
    with pytest.raises(ValueError, match=message):
        pair_loss.embeddings(Overflowing(), inputs, torch.device("cpu"))
    with torch.no_grad():
        method.encoder.backbone.conv1.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="40 of 40 representations"):
        encoder.represent(method.encoder, pixels, torch.device("cpu"))
