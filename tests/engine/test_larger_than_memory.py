"""A source larger than memory trains too, with the same results."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import json, resource, sys
import numpy as np, torch, tiny
from torch import nn
from vicreg.engine.loader import Loader
from vicreg.nn.encoder import Encoder, channel_statistics
from vicreg.methods.vicreg import VICReg

class Colors(nn.Module):
    num_features = 3
    def forward(self, x):
        return x.mean(dim=(2, 3))

file, placement, limited = sys.argv[1:]
torch.set_num_threads(1)
torch.manual_seed(0)
warm = tiny.run(tiny.state(tiny.method()))  # what a training needs beside its images is there from here on
pixels, positions = np.load(file, mmap_mode="r"), np.arange(40_000)
if limited == "limited":
    data = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (data + 80_000_000,) * 2)
encoder = Encoder(Colors(), *channel_statistics(pixels, positions, chunk=1000))
method = VICReg(encoder, VICReg.Params(projector_width=8), num_images=len(positions))
loader = Loader(pixels, positions, tiny.CPU, placement)
[record] = tiny.run(tiny.state(method), loader, tiny.config(1, 100, tiny.Policy()))
weights = {name: value.tolist() for name, value in method.state_dict().items()}
print(json.dumps([record["loss"], weights]))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """123 MB of images."""
    path = tmp_path_factory.mktemp("large") / "pixels.npy"
    pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (40_000, 32, 32, 3))
    for start in range(0, len(pixels), 4000):
        pixels[start : start + 4000] = np.random.default_rng(start).integers(0, 256, (4000, 32, 32, 3), np.uint8)
    return path


def train(file: Path, placement: str, limited: str) -> subprocess.CompletedProcess[str]:
    tests, root = Path(__file__).parents[1], Path(__file__).parents[2]
    code = f"import sys; sys.path[:0] = [{str(root)!r}, {str(tests)!r}]\n{SCRIPT}"
    return subprocess.run([sys.executable, "-c", code, str(file), placement, limited], capture_output=True, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_images_larger_than_memory_train_as_others(file: Path) -> None:
    streamed, loaded = train(file, "stream", "limited"), train(file, "device", "unlimited")
    assert streamed.returncode == 0, streamed.stderr
    assert json.loads(streamed.stdout) == json.loads(loaded.stdout)
    refused = train(file, "device", "limited")
    assert refused.returncode != 0 and "MemoryError" in refused.stderr
