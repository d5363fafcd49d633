"""features: a frozen encoder x both datasets -> features/<study>/<encoder>-<slot>.npz."""

import json
from pathlib import Path

import numpy as np

from stages import SLOTS, Paths, run, timed
from vicreg.data import images, split_checks
from vicreg.engine import devices
from vicreg.nn import encoder
from vicreg.study import params


def main(name: str) -> None:
    """Represent every image that a probe sees by the frozen encoder NAME."""
    p = params.load()
    p.encoder(name)
    paths = Paths(p.study)
    device = devices.choose_device(p.device)
    with timed(p.study, f"features-{name}", devices.accelerator(device)):
        description = encoder.describe(paths.model(name))
        if reason := description.get("not_run"):
            for slot in SLOTS:
                images.save_arrays({"not_run": np.array(reason)}, paths.features(name, slot))
            return
        frozen = encoder.load(paths.model(name))
        data = {slot: images.load(paths.data(slot)) for slot in SLOTS}
        split = split_checks.trusted(images.load_arrays(paths.data("split")), data, p.protocol)
        for slot, known in data.items():
            parts = {part: known.take(split[f"{slot}/{part}"]) for part in ("probe_train", "probe_test")}
            write(paths.features(name, slot), known, parts, frozen, device, description)


def write(path: Path, known: images.Images, parts: dict[str, images.Images], frozen, device, description) -> None:
    arrays = {
        "name": np.array(known.name),
        "genuine": np.array(known.genuine),
        "classes": np.array(known.classes),
        "fingerprint": np.array(images.fingerprint(known.pixels, known.labels)),
        "description": np.array(json.dumps(description, sort_keys=True)),
    }
    for part, chosen in parts.items():
        arrays |= {part: encoder.represent(frozen, chosen.pixels, device), f"{part}_labels": chosen.labels}
        print(f"{path}: {part}: {len(chosen):,} x {arrays[part].shape[1]}", flush=True)
    images.save_arrays(arrays, path)


if __name__ == "__main__":
    run(main)
