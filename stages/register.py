"""register: the best probe on each dataset, with its encoder -> a registered model, results/<study>/registered.json."""

from stages import Paths, recipe, run, settings, timed, write_json
from vicreg.data import images
from vicreg.evaluation import probe_files
from vicreg.io.arrays import load_arrays
from vicreg.serving import classifier
from vicreg.serving.register import register


def main() -> None:
    """Register the best classifier of each dataset of the study, so that `mlflow models serve` answers with it."""
    options = settings("register")
    study = recipe(options["rows"][0]).study
    paths = Paths(study)
    with timed(study, "register"):
        val_top1 = {row: probe_files.describe(paths.probes(row)).get("val_top1", {}) for row in options["rows"]}
        split = load_arrays(paths.split)
        registered = {}
        for role, key in options["datasets"].items():
            dataset = images.load(paths.data(role))
            if not dataset.classes:  # unlabeled images only pretrain
                continue
            row, probe = classifier.best(val_top1, role)
            registered[role] = register(
                f"vicreg-{study}-{key}",
                classifier.ImageClassifier(paths.model(row), paths.probes(row), role, probe),
                study=study,
                dataset=dataset,
                train=dataset.subset(split[f"{role}/probe_train"]),
                test=dataset.subset(split[f"{role}/probe_test"]),
            )
        write_json(paths.result("registered"), {"datasets": registered})


if __name__ == "__main__":
    run(main)
