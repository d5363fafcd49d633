"""Which share of a dataset's official splits serves which purpose: the published protocols, as a table."""

from dataclasses import dataclass

PURPOSES = {"primary": ("pretrain", "probe_train", "probe_test"), "transfer": ("probe_train", "probe_test")}
ROLES = tuple(PURPOSES)


@dataclass(frozen=True)
class Pool:
    """Images of some official splits, and the purposes they serve.

    shares: (purpose, its share of the pool at fraction 1); the first takes from the front, the second from the back.
    overlap: both take from the front, so that they have the same images on purpose.
    """

    official: tuple[str, ...]
    shares: tuple[tuple[str, float], ...]
    overlap: bool = False

    @property
    def exclusive(self) -> bool:
        """Whether two purposes draw from the pool and may not overlap."""
        return len(self.shares) > 1 and not self.overlap


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
UNLABELED = {"primary": (Pool(("train",), (("pretrain", 1.0),)),)}  # with any protocol: there is nothing to probe


def pools(protocol: str, role: str, labeled: bool = True) -> tuple[Pool, ...]:
    """Return a protocol's pools for the "primary" or "transfer" dataset; a ValueError names the choices."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"there is no protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r} for a dataset; choose from {', '.join(ROLES)}")
    if not labeled and role not in UNLABELED:
        raise ValueError(f"the `{role}` dataset only trains and tests probes, which need labels; this one has none")
    return PROTOCOLS[protocol][role] if labeled else UNLABELED[role]


def purposes(role: str, labeled: bool = True) -> tuple[str, ...]:
    """What the images of a dataset serve in this role."""
    return PURPOSES[role] if labeled else ("pretrain",) * (role == "primary")
