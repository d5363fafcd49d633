"""features: a frozen encoder x both datasets -> features/<study>/<row>-<role>.npz."""

import numpy as np

from stages import ROLES, paths, run, settings, timed
from vicreg.data import images, split_checks
from vicreg.engine import devices
from vicreg.evaluation.features import SUBSETS, save_features
from vicreg.io.arrays import load_arrays, save_arrays
from vicreg.nn.encoder import extract_features
from vicreg.study.builders import describe, load_encoder

NO_LABELS = "its images have no labels, so no probe can learn from them"


def main(row: str) -> None:
    """Extract the features of every image that a probe sees, by the frozen encoder of the row ROW."""
    files, device = paths(), devices.choose_device(settings("features")["device"])
    with timed(f"features-{row}", devices.device_name(device)):
        description = describe(files.model(row))
        data = {role: images.load(files.data(role)) for role in ROLES}
        split = split_checks.verified(load_arrays(files.split), data, settings("split")["protocol"])
        encoder = None if "not_run" in description else load_encoder(files.model(row))
        for role, known in data.items():
            path, arrays = files.features(row, role), {}
            if encoder is None or not known.labeled:
                save_arrays(path, not_run=np.array(description.get("not_run", NO_LABELS)))
                continue
            for subset in SUBSETS:
                positions = split[f"{role}/{subset}"]
                arrays[subset] = extract_features(encoder, known.pixels, device, positions=positions)
                arrays[f"{subset}_labels"] = known.labels[positions]
                print(f"{path}: {subset}: {len(positions):,} x {encoder.num_features}", flush=True)
            save_features(path, known, arrays, description)


if __name__ == "__main__":
    run(main)
