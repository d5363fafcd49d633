"""Model card: what an encoder is, what it learned from, how good it is and what it is not for, from the run's files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vicreg.compare import metrics_file
from vicreg.compare.metrics_file import Metrics
from vicreg.data.cifar import NAMES
from vicreg.data.images import load_arrays
from vicreg.io import plugins
from vicreg.reporting.markdown import code, count, escape, interval, percent, points, table
from vicreg.study.paths import Paths, study_of

PURPOSES = {"pretrain": "pretraining", "probe_train": "training the probes", "probe_test": "testing them"}
APART = ("encoder", "digest")  # of a description, what is no setting

LIMITS = """\
- It is for research and teaching: to compare how encoders learn. It decides about nothing and nobody.
- It sees 32 x 32 pixels. What is lost at that size, it cannot tell; photos are squeezed to it.
- It was made for images like those it learned from. On others its representations may mean nothing, and nothing warns.
- It was never tested for fairness, for robustness, or against images made to mislead it."""

ONE_SEED = """\
- The numbers above come from one run with one seed: other seeds give others, and the intervals do not show how far."""

TINY_IMAGES = """\
CIFAR-10 and CIFAR-100 are parts of the 80 Million Tiny Images, which were collected from the web by search terms, and
withdrawn by their authors in 2020 because of offensive images and labels. Biases of the web of 2008 may be in these
weights. The page of CIFAR (<https://www.cs.toronto.edu/~kriz/cifar.html>) states no licence, and asks to cite Alex
Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. The images have owners of their own."""

DRAWN = "The pictures were drawn by this project's own code: no photo, and no person, is in them."
OTHERS = "Under which terms the images may be used, their source says."

PUBLISHED = """\
The weights are those that the authors of VICReg published under the MIT licence
(<https://github.com/facebookresearch/vicreg>), pretrained on ImageNet, whose images have terms of their own."""


@dataclass(frozen=True)
class Card:
    """name: the encoder's; about: its description; metrics: of its study, None where they are not there or not its own.

    why: the reason, in words, where there are no metrics.
    """

    name: str
    about: dict[str, Any]
    metrics: Metrics | None
    why: str = ""

    @classmethod
    def of(cls, model: Path, about: dict[str, Any]) -> "Card":
        """Gather what the study of the encoder in the file `model` left behind; raises ValueError for damaged files."""
        paths = study_of(model)
        if paths is None or not paths.report("metrics.json").is_file():
            return cls(model.stem, about, None, "no report of its study was found beside it")
        file = paths.report("metrics.json")
        metrics = metrics_file.parse(file.read_bytes(), str(file))
        if not (same_weights(paths, model.stem, about) and same_results(paths, model.stem, about, metrics)):
            return cls(model.stem, about, None, "the report of its study is of other weights: run `dvc repro`")
        return cls(model.stem, about, metrics)

    def text(self, dimension: int, *, onnx: bool, difference: float | None) -> str:
        """Return the card as markdown.

        dimension: D of the representations; onnx: whether the folder holds the encoder in ONNX; difference: how far
        that was from PyTorch, None where it was not tried.
        """
        chapters = {
            "What it is": self.what(dimension),
            "How to use it": self.usage(onnx, difference),
            "Data": self.data(),
            "Training": self.training(),
            "Results": self.results(),
            "Limits": LIMITS if self.metrics is None else f"{LIMITS}\n{ONE_SEED}",
            "Licences": self.licences(),
        }
        body = "\n\n".join(f"## {title}\n\n{text}" for title, text in chapters.items())
        return f"# {self.title()}\n\n{body}\n"

    @property
    def learned(self) -> bool:
        return "epochs" in self.about

    @property
    def published(self) -> bool:
        return self.about.get("method") == "pretrained"

    @property
    def on_cifar(self) -> bool:
        """Whether it learned from CIFAR, or from what was taken for a part of it."""
        return self.about.get("primary") in NAMES

    @property
    def drawn(self) -> bool:
        """Whether it learned from pictures that this project drew."""
        return self.about.get("primary") in plugins.member("sources", "synthetic").DATASETS

    def title(self) -> str:
        """The first line, which says what stands in for CIFAR."""
        backbone = escape(str(self.about.get("backbone")))
        if self.published:
            return f"{code(self.name)}: the {backbone} that the authors of VICReg pretrained on ImageNet"
        if not self.learned:
            return f"{code(self.name)}: a random {backbone} that learned nothing, to compare with"
        primary = str(self.about.get("primary"))
        known = self.metrics.datasets.get(primary) if self.metrics else None
        name = escape(known["name"] if known else NAMES.get(primary, primary))
        if not self.on_cifar:
            kind = f"stand-in data, drawn pictures called {name}" if self.drawn else name
            return f"{code(self.name)}: a {backbone} pretrained on {kind}, not on CIFAR"
        doubt = "" if known and known["genuine"] else " (not verified as the genuine, complete dataset)"
        return f"{code(self.name)}: a {backbone} pretrained on {name}{doubt}"

    def what(self, dimension: int) -> str:
        text = (
            f"An encoder: it turns an image of 32 x 32 pixels in RGB into {dimension:,} numbers, its representation, "
            "on which simple classifiers can be trained."
        )
        if self.learned:
            text += (
                f" It was pretrained without labels by {escape(str(self.about.get('method')))}"
                " (for `vicreg`: <https://arxiv.org/abs/2105.04906>)."
            )
        elif not self.published:
            text += " Its weights are as they were drawn at the start."
        return text

    def usage(self, onnx: bool, difference: float | None) -> str:
        parts = [
            "Images go in as RGB in [0, 1], in the order N, channel, height, width; the normalisation is inside. "
            "`config.json` describes the rest. In the project that it comes from:",
            "```python\nfrom pathlib import Path\nfrom vicreg import encoder\n\n"
            f"model = encoder.load(Path({self.name + '.safetensors'!r})).eval()\n"
            "representations = model(images)  # torch, (N, 3, 32, 32) float32 -> (N, D)\n```",
        ]
        if onnx:
            tried = f" (within {difference:.1e} of PyTorch when it was written)" if difference is not None else ""
            parts += [
                f"Anywhere else, by ONNX{tried}:",
                "```python\nimport onnxruntime\n\n"
                f"session = onnxruntime.InferenceSession({self.name + '.onnx'!r})\n"
                '(representations,) = session.run(None, {"images": images})  # numpy, (N, 3, 32, 32) float32\n```',
            ]
        return "\n\n".join(parts)

    def data(self) -> str:
        if self.metrics is None:
            return f"Not known here: {self.why}."
        shares = []
        for key, dataset in self.metrics.datasets.items():
            kind = "genuine and complete, by its fingerprints" if dataset["genuine"] else "not genuine CIFAR"
            kind = "drawn pictures, which stand in for CIFAR" if self.metrics.drawn else kind
            images = [
                f"{count(dataset['images'][p], 'image')} for {w}" for p, w in PURPOSES.items() if p in dataset["images"]
            ]
            shares.append(f"- **{escape(dataset['name'])}** ({code(key)}; {kind}): {', '.join(images)}")
            shares += [f"  - {split} split: SHA-256 `{found}`" for split, found in dataset["fingerprints"].items()]
        role = "Only the images for pretraining shaped the weights, and no label did." if self.learned else ""
        unseen = (
            "No image shaped the weights, but for their normalisation."
            if not self.learned and not self.published
            else ""
        )
        return "\n".join([f"The study {code(str(self.metrics.facts['name']))}. {role}{unseen}".strip(), "", *shares])

    def training(self) -> str:
        parts = []
        if self.metrics:
            facts, seconds = self.metrics.facts, self.metrics.facts["seconds"].get(f"pretrain-{self.name}")
            if seconds is not None and self.learned:
                parts.append(f"It took {seconds:,.0f} seconds. Hardware of the study: {escape(str(facts['device']))}.")
            versions = ", ".join(f"{package} {version}" for package, version in facts["versions"].items())
            parts.append(f"Commit of the report: `{facts['commit']}`. Versions: {escape(versions)}.")
        settings = [[code(key), code(value)] for key, value in flat(self.about)]
        parts.append(table(["setting", "value"], settings, "ll"))
        digests = ", ".join(f"{part} `{found}`" for part, found in self.about.get("digest", {}).items())
        parts.append(f"Digests of the weights (SHA-256, see `vicreg.io.weights.digest`): {digests}.")
        return "\n\n".join(parts)

    def results(self) -> str:
        if self.metrics is None:
            return f"None are told: {self.why}."
        own = [row for row in self.metrics.rows() if row[2] == self.name]
        if not own:
            return "None: this encoder did not take part in the probes of its study."
        rows = [
            [escape(self.metrics.datasets[dataset]["name"]), code(probe), *numbers(found)]
            for dataset, probe, _, found in own
        ]
        heads = ["dataset", "probe", "top-1 %", "95 % interval", "top-5 %", "gain over `random`, points"]
        about = (
            "Accuracy of probes, simple classifiers on the frozen representations, on test images that they never saw."
        )
        drawn = " **On drawn pictures: they say whether the pipeline works, not how good the method is.**"
        return f"{about}{drawn if self.metrics.drawn else ''}\n\n{table(heads, rows, 'llrrrr')}"

    def licences(self) -> str:
        if self.published:
            return PUBLISHED
        note = (
            "Whether these weights may be passed on is for those to say who trained them: no licence comes with them."
        )
        if not self.learned:
            return note
        return f"{note}\n\n{TINY_IMAGES if self.on_cifar else DRAWN if self.drawn else OTHERS}"


def numbers(found: dict[str, Any]) -> list[str]:
    """The cells of a row: top-1, its interval, top-5, the gain with its interval."""
    gain = ""
    if "gain_low" in found:
        gain = f"{points(found['gain'])} ({points(found['gain_low'])} to {points(found['gain_high'])})"
    return [percent(found["top1"]), interval(found["top1_low"], found["top1_high"]), percent(found["top5"]), gain]


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The settings of a description, nested ones under dotted keys, without what is none."""
    found: list[tuple[str, str]] = []
    for key, value in sorted(values.items()):
        if not prefix and key in APART:
            continue
        nested = isinstance(value, dict)
        found += flat(value, f"{prefix}{key}.") if nested else [(f"{prefix}{key}", json.dumps(value))]
    return found


def same_weights(paths: Paths, name: str, about: dict[str, Any]) -> bool:
    """Whether the study's features are of these very weights; without features, nothing speaks against it."""
    file = paths.features(name, "primary")
    if not file.is_file():
        return True
    found = load_arrays(file, lambda array: array == "description")
    return "description" in found and json.loads(str(found["description"])).get("digest") == about.get("digest")


def same_results(paths: Paths, name: str, about: dict[str, Any], metrics: Metrics) -> bool:
    """Whether the report is of a study of these sizes, and of what the probes found in this one's folder."""
    said = {
        **metrics.facts.get("sizes", {}),
        "seed": metrics.facts.get("seed"),
        "protocol": metrics.facts.get("protocol"),
    }
    told = {**about, "width": about.get("parameters", {}).get("width")}
    if any(told[key] != said[key] for key in told.keys() & said.keys()):
        return False
    file = paths.result(f"linear_eval-{name}")
    if not file.is_file():
        return True
    probed = json.loads(file.read_text(encoding="utf-8")).get("datasets", {}).values()
    found = {(d["key"], probe): score["top1"] for d in probed for probe, score in d["probes"].items()}
    reported = {(dataset, probe): row["top1"] for dataset, probe, encoder, row in metrics.rows() if encoder == name}
    return found == reported
