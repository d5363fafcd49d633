"""Genuine CIFAR is recognised by its content, whatever source and order it came in."""

from dataclasses import replace

from vicreg.data.images import Images, fingerprints

# SHA-256 over the sorted per-image digests (see `vicreg.data.images.fingerprint`) of the authors' images,
# https://www.cs.toronto.edu/~kriz/cifar.html; CIFAR-100 with its fine labels.
GENUINE = {
    "cifar10": {
        "train": "6a3b2c04d0a79ce272dcdacaf0bc440275db5a8cbe3717521a28fada2ea0d2ed",
        "test": "65a6ffe079453e514083f99356b35e02cbfd581b4951e3937fae188974b79f39",
    },
    "cifar100": {
        "train": "640c97a4012a8aebfcaf57fd82a33dd43b37d2e397a02cb9b0a3d89e6d6d936d",
        "test": "a6a97df7b61bc7420bc44268696e8963d33129bc050978f2a63d8fe3420989fa",
    },
}
NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
COUNTS = {"train": 50_000, "test": 10_000}


def recognise(images: Images, dataset: str, *, subset: bool = False) -> Images:
    """Return `images` marked as genuine when they are the complete dataset, to the last byte.

    dataset: "cifar10" or "cifar100"; any other (drawn data) is returned as it is.
    subset: allow other content on purpose; its name then says "(subset)" wherever it is shown.

    Raises ValueError with counts and fingerprints when the content is not genuine and `subset` is False.
    """
    if dataset not in GENUINE:
        return images
    found = fingerprints(images)
    if found == GENUINE[dataset]:
        return replace(images, name=NAMES[dataset], genuine=True)
    if not subset:
        raise ValueError(_difference(images, dataset, found))
    return replace(images, name=f"{NAMES[dataset]} (subset)", genuine=False)


def _difference(images: Images, dataset: str, found: dict[str, str]) -> str:
    """Return the error text: per official split what was expected and what was found."""
    lines = [f"these images are not the complete, genuine {NAMES[dataset]}:"]
    for split, expected in GENUINE[dataset].items():
        count = int((images.official == split).sum())
        verdict = "as expected" if found.get(split) == expected else f"not {expected}"
        lines.append(f"  {split}: {count:,} of {COUNTS[split]:,} images, fingerprint {found.get(split)}, {verdict}")
    lines.append(
        "Check the files, or take `source: official`; if this is a part of it on purpose, set "
        '`subset: true`, and every table will say "subset".'
    )
    return "\n".join(lines)
