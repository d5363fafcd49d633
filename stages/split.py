"""split: images -> data/<study>/split.npz, which image serves which purpose."""

from stages import ROLES, paths, run, settings, timed
from vicreg.data import images, split_checks, splits
from vicreg.io.arrays import save_arrays


def main() -> None:
    """Decide by content which images pretrain, train the probes and test them."""
    options, protocol = settings("split"), settings("split")["protocol"]
    with timed("split"):
        data = {role: images.load(paths().data(role)) for role in ROLES}
        split = splits.split_study(data, protocol, fractions=options["fractions"], seed=options["seed"])
        save_arrays(paths().split, **split_checks.with_fingerprints(split, data, protocol))
    for name, positions in split.items():
        print(f"{name}: {len(positions):,} images")


if __name__ == "__main__":
    run(main)
