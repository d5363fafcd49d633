"""Published weights: torchvision's ResNet-50 comes out of them, and a file that is something else is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from vicreg.backbones import resnet50
from vicreg.io import description, weights
from vicreg.methods import pretrained
from vicreg.methods.pretrained import Pretrained
from vicreg.nn.encoder import Encoder
from vicreg.nn.mlp import mlp


def published_file(path: Path, full: bool) -> Any:
    """Write what VICReg's authors publish, the encoder alone or with a projector, and return torchvision's network."""
    from torchvision.models import resnet50 as torchvision_resnet50

    network: Any = torchvision_resnet50()
    del network.fc
    tensors = {key: value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    if full:
        head = mlp(2048, [32] * 3)
        tensors = {f"module.backbone.{key}": value for key, value in tensors.items()}
        tensors |= {f"module.projector.{key}": value for key, value in head.state_dict().items()}
        tensors = {"epoch": 1, "model": tensors}
    torch.save(tensors, path)
    return network


def new_method(path: Path, size: int = 32) -> Pretrained:
    encoder = Encoder(resnet50.ResNet50(resnet50.ResNet50.Params(image_size=size)))
    return Pretrained(encoder, Pretrained.Params(weights=str(path)), num_images=1)


@pytest.mark.parametrize("full", [False, True])
def test_published_weights_give_torchvisions_resnet50(tmp_path: Path, full: bool) -> None:
    network = published_file(tmp_path / "resnet50.pth", full)
    method = new_method(tmp_path / "resnet50.pth", 64)
    method.initialize()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    from torchvision.transforms.v2.functional import normalize, resize

    network.fc = torch.nn.Identity()
    x = normalize(images / 255, list(pretrained.IMAGENET_MEAN), list(pretrained.IMAGENET_STD))
    expected = network.eval()(resize(x, [64, 64], antialias=True))
    torch.testing.assert_close(method.eval().encoder(images), expected, rtol=1e-3, atol=1e-4)
    parts = {"encoder": method.encoder} | ({"projector": method.projector} if method.projector else {})
    weights.save(tmp_path / "y.safetensors", parts, {})
    digests = description.describe(tmp_path / "y.safetensors", "an encoder", "again")["digest"]
    again = weights.load_parts(new_method(tmp_path, 64), tmp_path / "y.safetensors", digests, "again").eval()
    torch.testing.assert_close(again.encoder(images), expected, rtol=1e-3, atol=1e-4)
    one, other = method.embed(images), again.embed(images)
    assert (one is not None) == (other is not None) == full
    if one is not None and other is not None:
        assert torch.equal(one, other) and one.shape == (2, 32)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("code ran",))


CONTENTS = [Evil(), {"conv1.weight": torch.zeros(1)}, [1, 2], {1: torch.zeros(1)}, {"model": [1]}, {"backbone.a": 1}]


@pytest.mark.parametrize("content", CONTENTS)
def test_weights_that_are_something_else_are_refused(tmp_path: Path, content: Any, capsys: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"methods\.pretrained\.weights = .*w\.pth"):
        new_method(tmp_path / "w.pth").initialize()
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x02.", bytes(100), b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_no_weights_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as weights"):
        pretrained.read(str(tmp_path / "w.pth"))


def test_weights_that_are_not_there_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Download the file by hand"):
        pretrained.read(str(tmp_path / "nothing.pth"))


def test_without_weights_the_row_does_not_run() -> None:
    assert "names no file" in (Pretrained.not_run(Pretrained.Params()) or "")
    assert Pretrained.not_run(Pretrained.Params(weights="x.pth")) is None
