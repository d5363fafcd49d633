"""report: all that the stages of a study left behind -> reports/<study>/."""

from stages import ROLES, paths, run, settings
from vicreg.data import images
from vicreg.io.arrays import load_arrays
from vicreg.reporting import image_samples, write_report
from vicreg.reporting.metrics import probes_of
from vicreg.reporting.study import gather
from vicreg.reporting.tables import overview
from vicreg.tracking import runs
from vicreg.tracking.provenance import provenance
from vicreg.tracking.store import study_note


def main() -> None:
    """Write page, tables, metrics, curves and pictures of the study that params.yaml names."""
    files = paths()
    data = {role: images.load(files.data(role)) for role in ROLES}
    split = {name: array for name, array in load_arrays(files.split).items() if array.ndim}  # without fingerprints
    study = gather(settings("report"), data, split, provenance().get("commit"))
    samples = image_samples.gather(study, data, split)
    tags = runs.RunTags(stage="report", study=study.name, dataset=study.datasets[0].name)
    fingerprint = images.fingerprint(data["primary"].pixels, data["primary"].labels)
    params = {"seed": study.seed, "protocol": study.protocol}
    with runs.run(f"report {study.name}", tags=tags, fingerprint=fingerprint, params=params) as current:
        scores = write_report.write(study, samples, files.report(""))
        entries = [(f"{d.key}/{row}", entry) for d in study.datasets for row, entry in scores[d.key].items()]
        top1 = {f"{name}/{probe}": s["top1"] for name, e in entries for probe, s in probes_of(e).items()}
        current.metrics(top1)
        whole = current.of_study()
        whole.metrics(top1)
        whole.flush()
        whole.tag("mlflow.note.content", f"{overview(scores)}\n\n{study_note(study.name)}")
        for file in sorted(files.report("").iterdir()):
            whole.artifact(file, "report")


if __name__ == "__main__":
    run(main)
