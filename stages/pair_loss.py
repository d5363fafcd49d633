"""pair_loss: a whole method x pairs of test images -> results/<study>/pair_loss-<row>.json."""

from stages import ROLES, paths, recipe, run, settings, timed, write_json
from vicreg.data import images
from vicreg.engine import devices
from vicreg.evaluation.pair_loss import evaluate_pairs
from vicreg.io.arrays import load_arrays
from vicreg.study.builders import describe, load_method


def main(row: str) -> None:
    """Compute the loss between views, copies and different images by the row ROW, if it has a projector."""
    files, numbers = paths(), settings("pair_loss")
    result, device = {"encoder": row}, devices.choose_device(numbers["device"])
    with timed(f"pair_loss-{row}", devices.device_name(device)):
        split = load_arrays(files.split)
        role = next((role for role in ROLES if f"{role}/probe_test" in split), None)
        reason = describe(files.model(row)).get("not_run")
        if reason or role is None:
            result |= {"not_run": reason or "there are no labeled images to compare"}
        else:
            options = {key: numbers[key] for key in ("num_pairs", "num_negatives", "seed")}
            method, policy = load_method(files.model(row)), recipe(row).view_policy()
            test = images.load(files.data(role)).subset(split[f"{role}/probe_test"])
            result |= {"role": role, **evaluate_pairs(method, test, policy, **options, device=device)}
        write_json(files.result(f"pair_loss-{row}"), result)


if __name__ == "__main__":
    run(main)
