"""split: images -> data/<study>/split.npz, which image serves which purpose."""

import numpy as np

from stages import SLOTS, Paths, run, timed
from vicreg.data import images, split_checks, splits
from vicreg.study import params


def main() -> None:
    """Decide by content which images pretrain, train the probes and test them."""
    p = params.load()
    paths = Paths(p.study)
    with timed(p.study, "split"):
        purposes: dict[str, np.ndarray] = {}
        seen = None
        data = {slot: images.load(paths.data(slot)) for slot in SLOTS}
        for slot, known in data.items():
            fractions = p.sizes.fractions.model_dump()
            drawn = splits.split(known, p.protocol, slot, fractions=fractions, seed=p.seed, seen=seen)
            purposes |= {f"{slot}/{purpose}": positions for purpose, positions in drawn.items()}
            if slot == "primary":
                seen = images.pixel_digests(known.pixels[drawn["pretrain"]])
        tested = images.pixel_digests(data["transfer"].pixels[purposes["transfer/probe_test"]])
        pretrain = splits.without(data["primary"], purposes["primary/pretrain"], tested)
        purposes["primary/pretrain"] = pretrain
        splits.save_split(split_checks.marked(purposes, data, p.protocol), paths.data("split"))
    for purpose, positions in purposes.items():
        print(f"{purpose}: {len(positions):,} images")


if __name__ == "__main__":
    run(main)
