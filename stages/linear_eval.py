"""linear_eval: features x all probes -> results/<study>/linear_eval-<row>.json and the classifiers, a run per probe."""

import json
from typing import Any

from stages import ROLES, paths, run, settings, timed, write_json
from vicreg.engine import devices
from vicreg.evaluation import probe_files
from vicreg.evaluation.classifier import Classifier
from vicreg.evaluation.evaluate import evaluate_probe, metrics_by_epoch, summarize
from vicreg.evaluation.features import FeatureSet, load_by_role
from vicreg.tracking import runs


def main(row: str) -> None:
    """Evaluate the frozen encoder of the row ROW by every probe, on every dataset that has labels."""
    files, options = paths(), settings("linear_eval")
    device = devices.choose_device(options["device"])
    with timed(f"linear_eval-{row}", devices.device_name(device)):
        known, reason = load_by_role({role: files.features(row, role) for role in ROLES})
        classifiers, datasets = {}, {}
        for role, features in known.items():
            key, probes = settings(f"download-{role}")["dataset"], {}
            about = {"encoder": row, "study": files.study, "dataset": features.name, "weights": features.weights}
            for probe in options["probes"]:
                tags = runs.RunTags(stage="linear_eval", probe=probe, **about)
                probes[probe], classifiers[role, probe] = track(tags, key, features, options)
            datasets[role] = {"key": key, **features.about, "probes": probes}
        result = {"encoder": row} | ({"datasets": datasets} if known else {"not_run": reason})
        probe_files.save_results(files.probes(row), classifiers, result)
        write_json(files.result(f"linear_eval-{row}"), result)


def track(tags: runs.RunTags, key: str, features: FeatureSet, options: dict[str, Any]) -> tuple[dict, Classifier]:
    """Evaluate one probe on one dataset, as an MLflow run."""
    probe, params, device = str(tags.probe), options["probes"][tags.probe], devices.choose_device(options["device"])
    name, shape = f"{tags.encoder} {probe} {key}", {**features.description, probe: params}
    with runs.run(name, tags=tags, fingerprint=features.fingerprint, params=shape) as current:
        result, classifier = evaluate_probe(probe, params, features, seed=options["seed"], device=device)
        for metrics in metrics_by_epoch(probe, params, result):
            current.metrics(*metrics)
        current.confusion(result["confusion"], features.classes, f"{name}, test images")
        current.text(json.dumps(result, indent=1), "result.json")
        print(summarize(probe, result, features), flush=True)
    return result, classifier


if __name__ == "__main__":
    run(main)
