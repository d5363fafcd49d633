"""How many images of which official split serve which purpose: the published numbers, as a table."""

from dataclasses import dataclass

ROLES = {"primary": ("pretrain", "probe_train", "probe_test"), "transfer": ("probe_train", "probe_test")}


@dataclass(frozen=True)
class Pool:
    """Images of some official splits, and the purposes they serve.

    parts: (purpose, images at fraction 1); the first takes from the pool's front, the second from its back.
    shared: both take from the front, so that they overlap on purpose.
    """

    official: tuple[str, ...]
    parts: tuple[tuple[str, int], ...]
    shared: bool = False

    @property
    def contested(self) -> bool:
        """Whether two purposes draw from the pool and may not overlap."""
        return len(self.parts) > 1 and not self.shared


PROTOCOLS: dict[str, dict[str, tuple[Pool, ...]]] = {
    "report": {
        "primary": (
            Pool(("train",), (("pretrain", 40_000), ("probe_train", 10_000))),
            Pool(("test",), (("probe_test", 5_000), ("probe_train", 5_000))),
        ),
        "transfer": (Pool(("train", "test"), (("probe_test", 15_000), ("probe_train", 45_000))),),
    },
    "standard": {
        "primary": (
            Pool(("train",), (("pretrain", 50_000), ("probe_train", 50_000)), shared=True),
            Pool(("test",), (("probe_test", 10_000),)),
        ),
        "transfer": (
            Pool(("train",), (("probe_train", 50_000),)),
            Pool(("test",), (("probe_test", 10_000),)),
        ),
    },
}


def pools(protocol: str, role: str) -> tuple[Pool, ...]:
    """Return a protocol's pools for the "primary" or "transfer" dataset; a ValueError names the choices."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"there is no protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r} for a dataset; choose from {', '.join(ROLES)}")
    return PROTOCOLS[protocol][role]
