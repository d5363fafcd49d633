"""transfer: a frozen encoder x datasets in folders of the user's -> results/<study>/transfer-<row>.json."""

from pathlib import Path
from typing import Any

from stages import paths, run, settings, timed, write_json
from vicreg.engine import devices
from vicreg.io.description import identity
from vicreg.study.builders import describe, load_encoder
from vicreg.transfer.datasets import READERS
from vicreg.transfer.evaluate import evaluate


def main(row: str) -> None:
    """Evaluate the frozen encoder of the row ROW on those of VOC07, Places205 and iNaturalist 2018 that are here."""
    files, options = paths(), settings("transfer")
    device = devices.choose_device(options["device"])
    with timed(f"transfer-{row}", devices.device_name(device)):
        folders = {key: options[key] for key in READERS if options[key]}
        datasets = {key: READERS[key](Path(folder).expanduser()) for key, folder in folders.items()}
        result: dict[str, Any] = {"encoder": row}
        if reason := (description := describe(files.model(row))).get("not_run"):
            result["not_run"] = reason
        else:
            result["weights"] = identity(description)
            result["datasets"] = {key: {"not_run": "not run: data absent"} for key in READERS}
            encoder = load_encoder(files.model(row))
            for key, dataset in datasets.items():
                entry = evaluate(dataset, encoder, size=options["size"], seed=options["seed"], device=device)
                result["datasets"][key] = entry
                print(f"{entry['name']}: {entry['metric']} {entry['value']:.1%}", flush=True)
        write_json(files.result(f"transfer-{row}"), result)


if __name__ == "__main__":
    run(main)
