"""split: images -> data/<study>/split.npz, which image serves which purpose."""

from pathlib import Path

import stages
from vicreg.data import images, split_checks, splits
from vicreg.data.protocols import ROLES
from vicreg.io.arrays import save_arrays


def main() -> None:
    """Decide by content which images pretrain, train the probes and test them."""
    settings, folder = stages.settings("split"), Path("data", stages.study())
    protocol = settings["protocol"]
    with stages.timed(stages.study(), "split"):
        data = {role: images.load(folder / role) for role in ROLES}
        split = splits.split_study(data, protocol, fractions=settings["fractions"], seed=settings["seed"])
        save_arrays(folder / "split.npz", **split_checks.with_fingerprints(split, data, protocol))
    for name, positions in split.items():
        print(f"{name}: {len(positions):,} images")


if __name__ == "__main__":
    stages.run(main)
