"""fine_tune: an encoder and a linear layer learn together from few labels -> results/<study>/fine_tune-<row>.json."""

from functools import partial

from tqdm import tqdm

from stages import log, paths, run, settings, timed, write_json
from vicreg.data import images
from vicreg.engine import devices
from vicreg.evaluation import few_labels, fine_tuning
from vicreg.io.arrays import load_arrays
from vicreg.study.builders import describe, load_encoder


def main(row: str) -> None:
    """Fine-tune copies of the encoder of the row ROW on parts of the primary dataset's labels."""
    files, options = paths(), settings("fine_tune")
    device = devices.choose_device(options["device"])
    with timed(f"fine_tune-{row}", devices.device_name(device)):
        data, split, description = (
            images.load(files.data("primary")),
            load_arrays(files.split),
            describe(files.model(row)),
        )
        reason = description.get("not_run") or ("" if data.labeled else "its images have no labels")
        result: dict = {"encoder": row, "not_run": reason}
        if not reason:
            subsets = (split["primary/probe_train"], split["primary/probe_test"])
            p = fine_tuning.FineTuning.model_validate(
                {key: options[key] for key in fine_tuning.FineTuning.model_fields}
            )
            results = fine_tuning.evaluate(
                load_encoder(files.model(row)),
                data,
                subsets,
                p,
                seed=options["seed"],
                device=device,
                dtype=devices.choose_dtype(options["precision"], device),
                progress=partial(tqdm, desc=f"fine-tuning {row}", unit="fraction", disable=None),
            )
            for entry in results:
                log(f"{data.name}: {row} fine-tuned, {few_labels.describe(entry)}")
            result = {"encoder": row, "dataset": data.name, "fractions": results}
        write_json(files.result(f"fine_tune-{row}"), result)


if __name__ == "__main__":
    run(main)
