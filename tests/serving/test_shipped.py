"""The encoder that comes with the package: small, with a card, used where no study has one, and as good as it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tiny import CPU
from typer.testing import CliRunner

from vicreg.cli import main
from vicreg.cli.encoders import SHIPPED, resolve
from vicreg.data.sources.local import Local
from vicreg.data.splits import split_images
from vicreg.evaluation import probe_files
from vicreg.io.arrays import load_arrays
from vicreg.nn.encoder import extract_features
from vicreg.serving.predict import exported_probes
from vicreg.study import builders

ROOT = Path(__file__).parents[2]
UNPACK = ROOT.parent / "shared" / "cifar" / "unpack.py"


def test_it_is_small_and_has_a_card() -> None:
    assert SHIPPED.stat().st_size < 25 << 20
    card = SHIPPED.with_name("README.md").read_text()
    assert "CIFAR-10" in card and "# `cifar_aug`" in card
    encoder = builders.load_encoder(SHIPPED)
    assert encoder.num_features == 512 and builders.describe(SHIPPED)["study"] == "cifar"


def test_its_probes_are_those_of_the_report() -> None:
    about = probe_files.describe(exported_probes(SHIPPED))
    scores = json.loads((ROOT / "reports" / "cifar" / "metrics.json").read_text())
    for role, key in (("primary", "cifar10"), ("transfer", "cifar100")):
        for probe, top1 in about["top1"][role].items():
            assert top1 == scores[key]["cifar_aug"][probe]["top1"]


def test_a_newcomer_predicts_and_embeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (60, 40), (90, 150, 220)).save(tmp_path / "pictures" / "sky.png")
    assert resolve("cifar_aug") == SHIPPED
    for dataset, count in (("primary", 10), ("cifar100", 100)):
        said = CliRunner().invoke(main.app, ["predict", "pictures/sky.png", "--dataset", dataset])
        assert said.exit_code == 0 and f"It knows {count} classes" in said.output, said.output
    said = CliRunner().invoke(main.app, ["embed", "pictures", "--out", "x.npz", "--device", "cpu"])
    assert said.exit_code == 0 and load_arrays(Path("x.npz"))["features"].shape == (1, 512)
    said = CliRunner().invoke(main.app, ["loss", "pictures/sky.png", "pictures/sky.png"])
    assert said.exit_code == 1 and "cannot compare images" in said.output


def test_predict_imports_no_large_library_but_torch(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), (90, 150, 220)).save(tmp_path / "sky.png")
    code = (
        "import atexit, sys; from vicreg.cli.main import app\n"
        "atexit.register(lambda: print('large:', *{'mlflow', 'sklearn', 'scipy', 'pandas', 'torchvision', 'matplotlib',"
        " 'timm', 'dvc'} & sys.modules.keys(), file=sys.stderr)); app()"
    )
    command = [sys.executable, "-c", code, "predict", str(tmp_path / "sky.png"), "-e", str(SHIPPED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "large:\n" and "CIFAR-100" in done.stdout


@pytest.mark.skipif(not UNPACK.is_file(), reason="no genuine CIFAR images in ../shared/cifar")
def test_the_linear_probe_reaches_its_top1_on_the_genuine_test_images(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl", reason="pillow-jxl-plugin is needed to unpack ../shared/cifar")
    subprocess.run([sys.executable, str(UNPACK), "cifar10", str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    images = Local(Local.Params(folder=str(tmp_path))).load("cifar10", scratch=tmp_path, fraction=1, seed=0)
    split = split_images(images, "report", "primary", fractions={"pretrain": 1.0, "probe": 1.0}, seed=0)
    tested = images.subset(split["probe_test"])
    features = extract_features(builders.load_encoder(SHIPPED), tested.pixels, CPU)
    predictions = probe_files.load(exported_probes(SHIPPED), "primary", "linear").predict(features, CPU)
    top1 = probe_files.describe(exported_probes(SHIPPED))["top1"]["primary"]["linear"]
    assert (predictions[:, 0] == tested.labels).mean() == pytest.approx(top1, abs=0.001)  # other CPUs, other last bits
