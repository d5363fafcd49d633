"""Which share of a dataset's official splits serves which purpose: the published protocols, as a table."""

from typing import NamedTuple


class Pool(NamedTuple):
    """Images of some official splits, and the purposes they serve."""

    official: tuple[str, ...]
    shares: tuple[
        tuple[str, float], ...
    ]  # of each purpose at fraction 1; the first from the front, the second the back
    overlap: bool = False  # both take from the front, so that they have the same images on purpose


PROTOCOLS: dict[str, dict[str, tuple[Pool, ...]]] = {
    "report": {  # of CIFAR: 40,000 pretrain, 15,000 / 5,000 and 45,000 / 15,000 train and test the probes
        "primary": (
            Pool(("train",), (("pretrain", 0.8), ("probe_train", 0.2))),
            Pool(("test",), (("probe_test", 0.5), ("probe_train", 0.5))),
        ),
        "transfer": (Pool(("train", "test"), (("probe_test", 0.25), ("probe_train", 0.75))),),
    },
    "standard": {
        "primary": (
            Pool(("train",), (("pretrain", 1.0), ("probe_train", 1.0)), overlap=True),
            Pool(("test",), (("probe_test", 1.0),)),
        ),
        "transfer": (Pool(("train",), (("probe_train", 1.0),)), Pool(("test",), (("probe_test", 1.0),))),
    },
}
UNLABELED = (Pool(("train",), (("pretrain", 1.0),)),)  # with any protocol: there is nothing to probe


def pools(protocol: str, role: str, labeled: bool = True) -> tuple[Pool, ...]:
    """Return a protocol's pools for a dataset in its role, primary or transfer."""
    if not labeled and role == "transfer":
        raise ValueError("the `transfer` dataset only trains and tests probes, which need labels; this one has none")
    return PROTOCOLS[protocol][role] if labeled else UNLABELED
