"""Genuine CIFAR is recognized by its content, whatever source and order it came in."""

import hashlib
from dataclasses import replace

from vicreg.data.images import Images, fingerprints

# SHA-256 over the sorted per-image digests (see `vicreg.data.images.fingerprint`) of the authors' images,
# https://www.cs.toronto.edu/~kriz/cifar.html; CIFAR-100 with its fine labels; and over the names of the classes.
GENUINE = {
    "cifar10": {
        "train": "6a3b2c04d0a79ce272dcdacaf0bc440275db5a8cbe3717521a28fada2ea0d2ed",
        "test": "65a6ffe079453e514083f99356b35e02cbfd581b4951e3937fae188974b79f39",
        "classes": "66c673d653014822e808e1ae64eed32f350cb5c045d4cdd024378734afdd0dd8",
    },
    "cifar100": {
        "train": "640c97a4012a8aebfcaf57fd82a33dd43b37d2e397a02cb9b0a3d89e6d6d936d",
        "test": "a6a97df7b61bc7420bc44268696e8963d33129bc050978f2a63d8fe3420989fa",
        "classes": "77827c4c023a75b4a96911073f98319342db3ba589d39f75bec28def799cfea8",
    },
}
NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
COUNTS = {"train": 50_000, "test": 10_000}


def recognize(images: Images, dataset: str, *, allow_subset: bool = False) -> Images:
    """Return `images` marked as genuine when they are a complete CIFAR dataset, to the last byte.

    dataset: "cifar10" or "cifar100" must be that one; of any other name all content is allowed.
    allow_subset: allow other content on purpose; its name then says "(subset)" wherever it is shown.
    Raises ValueError with counts and fingerprints when the content is not genuine and `allow_subset` is False.
    """
    if dataset not in GENUINE and (images.synthetic or images.totals != COUNTS):
        return images
    prints = fingerprints(images) | {"classes": hashlib.sha256(" ".join(images.classes).encode()).hexdigest()}
    for name in [dataset] if dataset in GENUINE else GENUINE:
        if prints == GENUINE[name]:
            return replace(images, name=NAMES[name], genuine=True)
    if dataset not in GENUINE:
        return images
    if allow_subset:
        return replace(images, name=f"{NAMES[dataset]} (subset)", genuine=False)
    lines = [f"these images are not the complete, genuine {NAMES[dataset]}:"]
    for part, expected in GENUINE[dataset].items():
        count = f"{(images.official == part).sum():,} of {COUNTS[part]:,} images, " if part in COUNTS else ""
        verdict = "as expected" if prints.get(part) == expected else f"not {expected}"
        lines.append(f"  {part}: {count}fingerprint {prints.get(part)}, {verdict}")
    lines.append(
        'Check the files, take `source: official`, or set `allow_subset: true`: every table then says "subset".'
    )
    raise ValueError("\n".join(lines))
