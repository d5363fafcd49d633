"""split: images -> data/<study>/split.npz, which image serves which purpose."""

import numpy as np

from stages import SLOTS, Paths, run, timed
from vicreg import images, params, splits


def main() -> None:
    """Decide by content which images pretrain, train the probes and test them."""
    p = params.load()
    paths = Paths(p.study)
    with timed(p.study, "split"):
        purposes: dict[str, np.ndarray] = {}
        seen = None
        for slot in SLOTS:
            known = images.load(paths.data(slot))
            fractions = p.sizes.fractions.model_dump()
            drawn = splits.split(known, p.protocol, slot, fractions=fractions, seed=p.seed, seen=seen)
            purposes |= {f"{slot}/{purpose}": positions for purpose, positions in drawn.items()}
            if slot == "primary":
                primary, seen = known, images.pixel_digests(known.pixels[drawn["pretrain"]])
        tested = known.pixels[purposes["transfer/probe_test"]]
        pretrain = splits.without(primary, purposes["primary/pretrain"], images.pixel_digests(tested))
        purposes["primary/pretrain"] = pretrain
        splits.save_split(purposes, paths.data("split"))
    for purpose, positions in purposes.items():
        print(f"{purpose}: {len(positions):,} images")


if __name__ == "__main__":
    run(main)
