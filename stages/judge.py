"""judge: a frozen encoder by depth and with few labels -> results/<study>/judge-<row>.json."""

from dataclasses import replace
from typing import Any

from stages import ROLES, log, paths, run, settings, timed, write_json
from vicreg.data import images
from vicreg.engine import devices
from vicreg.evaluation import depth, few_labels
from vicreg.evaluation.evaluate import evaluate_probe
from vicreg.evaluation.features import SUBSETS, FeatureSet, load_features, not_run
from vicreg.io.arrays import load_arrays
from vicreg.study.builders import load_method


def main(row: str) -> None:
    """Judge the frozen encoder of the row ROW by the features after each of its stages, and with few labels."""
    files, options = paths(), settings("judge")
    device = devices.choose_device(options["device"])
    with timed(f"judge-{row}", devices.device_name(device)):
        reasons = {role: not_run(files.features(row, role)) for role in ROLES}
        known = {role: load_features(files.features(row, role)) for role in ROLES if not reasons[role]}
        datasets: dict[str, Any] = {}
        for role, features in known.items():
            datasets[role] = {"depth": by_depth(row, role, features, options, device)}
            few = few_labels.FewLabels.model_validate(options["few_labels"])
            results = few_labels.evaluate(features, few, seed=options["seed"], device=device)
            datasets[role]["few_labels"] = results
            for each in results:
                log(f"{features.name}: {few.probe}, {few_labels.describe(each)}")
        result = {"encoder": row} | ({"datasets": datasets} if known else {"not_run": reasons[ROLES[0]]})
        write_json(files.result(f"judge-{row}"), result)


def by_depth(row: str, role: str, features: FeatureSet, options: dict[str, Any], device: Any) -> list[dict[str, Any]]:
    """The linear probe after each stage and on the representation.

    Nothing where the backbone has no stages, or the representation is not that of one network on the whole image.
    """
    files, method = paths(), load_method(paths().model(row))
    if method.representation is not method.encoder:
        return []
    data, split = images.load(files.data(role)), load_arrays(files.split)
    subsets = [split[f"{role}/{subset}"] for subset in SUBSETS]
    parts = depth.stage_features(method.encoder.eval(), data.pixels, device, subsets)
    if not parts:
        return []
    names, results = [*(f"stage {n}" for n in range(1, len(parts) + 1)), "representation"], []
    for name, (train, test) in zip(names, [*parts, [features.train, features.test]], strict=True):
        of_stage = replace(features, train=train, test=test)
        result, _ = evaluate_probe("linear", options["linear"], of_stage, seed=options["seed"], device=device)
        kept = ("top1", "top1_low", "top1_high", "top5", "val_top1", "seconds")
        results.append({"stage": name, "numbers": train.shape[1], **{key: result[key] for key in kept}})
        log(f"{features.name}: linear after {name}: top-1 {result['top1']:.1%}")
    return results


if __name__ == "__main__":
    run(main)
