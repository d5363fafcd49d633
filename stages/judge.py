"""judge: a frozen encoder by depth and with few labels -> results/<study>/judge-<row>.json."""

from typing import Any

from stages import ROLES, log, paths, run, settings, timed, write_json
from vicreg.data import images
from vicreg.engine import devices
from vicreg.evaluation import depth, few_labels
from vicreg.evaluation.features import SUBSETS, load_by_role
from vicreg.io.arrays import load_arrays
from vicreg.nn.encoder import Encoder
from vicreg.study.builders import load_method


def main(row: str) -> None:
    """Judge the frozen encoder of the row ROW by the features after each of its stages, and with few labels."""
    files, options = paths(), settings("judge")
    device = devices.choose_device(options["device"])
    with timed(f"judge-{row}", devices.device_name(device)):
        known, reason = load_by_role({role: files.features(row, role) for role in ROLES})
        split, datasets = load_arrays(files.split), dict[str, Any]()
        for role, features in known.items():
            method, stages = load_method(files.model(row)), []
            if type(method.representation) is Encoder:  # and no form of it that sees patches or other colors
                pixels, subsets = images.load(files.data(role)).pixels, [split[f"{role}/{name}"] for name in SUBSETS]
                stages = depth.stage_features(method.encoder, pixels, device, subsets)
            by_stage = depth.evaluate(stages, features, options["linear"], seed=options["seed"], device=device)
            for each in by_stage:
                log(f"{features.name}: linear after {each['stage']}: top-1 {each['top1']:.1%}")
            datasets[role] = {"depth": by_stage}
            few = few_labels.FewLabels.model_validate(options["few_labels"])
            results = few_labels.evaluate(features, few, seed=options["seed"], device=device)
            datasets[role]["few_labels"] = results
            for each in results:
                log(f"{features.name}: {few.probe}, {few_labels.describe(each)}")
        result = {"encoder": row} | ({"datasets": datasets} if known else {"not_run": reason})
        write_json(files.result(f"judge-{row}"), result)


if __name__ == "__main__":
    run(main)
