"""Report: all that the stages of a study left behind -> reports/<study>/."""

from pathlib import Path
from typing import Any

from stages import SLOTS, Paths, read_json, run
from vicreg.augment.views import Policy
from vicreg.data import images, splits
from vicreg.reporting import image_samples, write_report
from vicreg.reporting.metrics import accuracies
from vicreg.reporting.study import Study, describe, versions
from vicreg.study import params
from vicreg.tracking import runs


def main() -> None:
    """Write page, tables, metrics, curves and pictures of the study that params.yaml names."""
    p = params.load()
    paths = Paths(p.study)
    data = {slot: images.load(paths.data(slot)) for slot in SLOTS}
    split = splits.load_split(paths.data("split"))
    study = gather(p, paths, data, split)
    used = dict.fromkeys(p.encoders[encoder].policy for encoder in study.learned)
    policies = {name: Policy(**p.policies[name].model_dump()) for name in used}
    shown = image_samples.gather(study, data["primary"], split, policies)
    with runs.run(
        f"report {p.study}",
        stage="report",
        study=p.study,
        dataset=data["primary"].name,
        fingerprint=images.fingerprint(data["primary"].pixels, data["primary"].labels),
        params={"seed": p.seed, "protocol": p.protocol},
    ) as tracked:
        write_report.write(study, shown, paths.report(""))
        tracked.metrics(top1(study))
        for file in sorted(paths.report("").iterdir()):
            tracked.artifact(file, "report")


def gather(p: params.Params, paths: Paths, data: dict[str, images.Images], split: dict[str, Any]) -> Study:
    """Bring together what the stages wrote for the encoders of params.yaml; other files are passed over."""
    keys, drawn = p.sizes.model_dump(include=set(SLOTS)), p.sizes.source == "synthetic"
    return Study(
        name=p.study,
        sizes=p.sizes.model_dump(exclude={"folder"}),  # where files lie says nothing about the study
        protocol=p.protocol,
        seed=p.seed,
        datasets=tuple(describe(data[slot], slot, keys[slot], counts(split, slot), drawn=drawn) for slot in SLOTS),
        pretraining={encoder: result(paths, "pretrain", encoder) for encoder in p.encoders},
        evaluations={encoder: result(paths, "linear_eval", encoder) for encoder in p.encoders},
        representative_loss=representative_losses(paths, list(p.encoders)),
        seconds=seconds(paths, {*p.encoders, *SLOTS}),
        versions=versions(),
        commit=runs.provenance().get("commit"),
        recipes={encoder: entry.model_dump() for encoder, entry in p.encoders.items()},
        portraits={encoder: result(paths, "portrait", encoder) for encoder in p.encoders},
    )


def representative_losses(paths: Paths, encoders: list[str]) -> dict[str, Any]:
    found = {encoder: result(paths, "representative_loss", encoder) for encoder in encoders}
    return {"encoders": found, "computed": found[encoders[0]]["computed"]}


def top1(study: Study) -> dict[str, float]:
    """The tables' first column by dataset, encoder and probe, as one flat mapping."""
    return {
        f"{dataset.key}/{encoder}/{probe}": scores["top1"]
        for dataset in study.datasets
        for encoder, probes in accuracies(study.evaluations, dataset.slot).items()
        for probe, scores in probes.items()
        if probe != "not_run"
    }


def counts(split: dict[str, Any], slot: str) -> dict[str, int]:
    """How many images serve each purpose of a dataset."""
    named = {name.partition("/"): len(positions) for name, positions in split.items()}
    return {purpose: number for (role, _, purpose), number in named.items() if role == slot}


def result(paths: Paths, stage: str, encoder: str | None = None) -> Any:
    """Read what a stage wrote; raises ValueError that names the stage to run where it did not run yet."""
    path = paths.result(f"{stage}-{encoder}" if encoder else stage)
    if not path.exists():
        name = f"{stage}@{encoder}" if encoder else stage
        raise ValueError(f"{path} does not exist; run `dvc repro {name}` first")
    return read_json(path)


def seconds(paths: Paths, current: set[str]) -> list[dict[str, Any]]:
    """Read the seconds of all stages but those of encoders (or datasets) that params.yaml no longer has."""
    found = sorted(Path("results", paths.study, "seconds").glob("*.json"))
    kept = [path for path in found if "-" not in path.stem or path.stem.partition("-")[2] in current]
    return [read_json(path) for path in kept]


if __name__ == "__main__":
    run(main)
