"""register: the best probe on each dataset, with its encoder -> a registered model, results/<study>/registered.json."""

from stages import paths, run, settings, timed, write_json
from vicreg.data import images
from vicreg.evaluation import probe_files
from vicreg.io.arrays import load_arrays
from vicreg.serving import classifier
from vicreg.serving.register import register


def main() -> None:
    """Register the best classifier of each dataset of the study, so that `mlflow models serve` answers with it."""
    options, files = settings("register"), paths()
    with timed("register"):
        val_top1 = {row: probe_files.describe(files.probes(row)).get("val_top1", {}) for row in options["rows"]}
        split = load_arrays(files.split)
        registered = {}
        for role, key in options["datasets"].items():
            dataset = images.load(files.data(role))
            if not dataset.classes:  # unlabeled images only pretrain
                continue
            row, probe = classifier.best(val_top1, role)
            registered[role] = register(
                f"vicreg-{files.study}-{key}",
                classifier.ImageClassifier(files.model(row), files.probes(row), role, probe),
                study=files.study,
                dataset=dataset,
                train=dataset.subset(split[f"{role}/probe_train"]),
                test=dataset.subset(split[f"{role}/probe_test"]),
            )
        write_json(files.result("registered"), {"datasets": registered})


if __name__ == "__main__":
    run(main)
