"""docs/detection.md: its conversion of weights gives torchvision's ResNets all but the last layer."""

import re
from pathlib import Path

import pytest
import torch
import torchvision

from vicreg.backbones import resnet, resnet50
from vicreg.io import weights
from vicreg.nn.encoder import Encoder

TEXT = (Path(__file__).parents[2] / "docs" / "detection.md").read_text(encoding="utf-8")
BACKBONES = {
    "resnet18": lambda: resnet.ResNet(resnet.ResNet.Params(width=64, stem="imagenet")),
    "resnet50": lambda: resnet50.ResNet50(resnet50.ResNet50.Params(image_size=32)),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_the_weights_are_torchvisions(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder = Encoder(BACKBONES[name](), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)).eval()
    weights.save(Path("encoder.safetensors"), {"encoder": encoder}, {})
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(block, {})
    network = torchvision.models.get_model(name).eval()
    missing, unexpected = network.load_state_dict(torch.load("torchvision.pth"), strict=False)
    assert set(missing) == {"fc.weight", "fc.bias"} and not unexpected
    network.fc = torch.nn.Identity()
    network, encoder = network.double(), encoder.double()
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(network(encoder.normalize(x)), encoder(x))


def test_it_says_that_nothing_was_run():
    assert TEXT.splitlines()[2].startswith("**Not run here.**")
