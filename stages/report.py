"""Report: all that the stages of a study left behind -> reports/<study>/."""

from stages import ROLES, Paths, run, settings
from vicreg.data import images
from vicreg.io.arrays import load_arrays
from vicreg.reporting import image_samples, write_report
from vicreg.reporting.metrics import probes_of
from vicreg.reporting.study import gather
from vicreg.tracking import runs


def main() -> None:
    """Write page, tables, metrics, curves and pictures of the study that params.yaml names."""
    given = settings("report")
    paths = Paths(given["study"])
    data = {role: images.load(paths.data(role)) for role in ROLES}
    split = {name: array for name, array in load_arrays(paths.split).items() if array.ndim}  # without fingerprints
    study = gather(given, data, split, runs.provenance().get("commit"))
    samples = image_samples.gather(study, data, split)
    with runs.run(
        f"report {study.name}",
        stage="report",
        study=study.name,
        dataset=study.datasets[0].name,
        fingerprint=images.fingerprint(data["primary"].pixels, data["primary"].labels),
        params={"seed": study.seed, "protocol": study.protocol},
    ) as tracked:
        scores = write_report.write(study, samples, paths.report(""))
        entries = [(f"{d.key}/{row}", entry) for d in study.datasets for row, entry in scores[d.key].items()]
        tracked.metrics(
            {f"{row}/{probe}": s["top1"] for row, entry in entries for probe, s in probes_of(entry).items()}
        )
        for file in sorted(paths.report("").iterdir()):
            tracked.artifact(file, "report")


if __name__ == "__main__":
    run(main)
