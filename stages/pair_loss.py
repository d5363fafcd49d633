"""pair_loss: a whole method x pairs of test images -> results/<study>/pair_loss-<row>.json."""

from stages import ROLES, paths, recipe, run, settings, timed, write_json
from vicreg.data import images
from vicreg.engine import devices
from vicreg.evaluation.pair_loss import evaluate_pairs
from vicreg.io.arrays import load_arrays
from vicreg.study.builders import describe, load_method


def main(row: str) -> None:
    """Compute the loss between views, copies and different images by the row ROW, if it has a projector."""
    files, options = paths(), settings("pair_loss")
    device, model = devices.choose_device(options["device"]), files.model(row)
    numbers = {key: options[key] for key in ("num_pairs", "num_negatives", "seed")}
    with timed(f"pair_loss-{row}", devices.device_name(device)):
        split, result = load_arrays(files.split), {"encoder": row}
        if reason := describe(model).get("not_run"):
            result |= {"not_run": reason}
        else:
            role = next(role for role in ROLES if f"{role}/probe_test" in split)  # the first with labels
            test = images.load(files.data(role)).subset(split[f"{role}/probe_test"])
            terms = evaluate_pairs(load_method(model), test, recipe(row).view_policy(), **numbers, device=device)
            result |= {"role": role, **terms}
        write_json(files.result(f"pair_loss-{row}"), result)


if __name__ == "__main__":
    run(main)
