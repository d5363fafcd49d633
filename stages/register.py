"""publish: the best probe on each dataset, with its encoder -> a registered model, results/<study>/published.json."""

from stages import SLOTS, Paths, run, timed, write_json
from vicreg.data import images
from vicreg.evaluation import probe_files
from vicreg.serving import classifier, publish
from vicreg.study import params


def main() -> None:
    """Register what judges each dataset of the study best, so that `mlflow models serve` answers with it."""
    p = params.load()
    paths = Paths(p.study)
    with timed(p.study, "publish"):
        top1 = {name: probe_files.describe(paths.heads(name)).get("top1", {}) for name in p.encoders}
        split = images.load_arrays(paths.data("split"))
        published = {}
        for slot in SLOTS:
            known = images.load(paths.data(slot))
            name, probe = classifier.best(top1, slot)
            published[slot] = publish.publish(
                f"vicreg-{p.study}-{getattr(p.sizes, slot)}",
                classifier.Classifier(paths.model(name), paths.heads(name), slot, probe),
                study=p.study,
                known=known,
                tested=known.take(split[f"{slot}/probe_test"]),
            )
        write_json(paths.result("published"), {"datasets": published})


if __name__ == "__main__":
    run(main)
