"""The file metrics.json of a study, as `vicreg.reporting.metrics` made it, read back."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LARGEST_FILE = 20_000_000  # bytes; a study's has a thousandth of that


@dataclass(frozen=True)
class Metrics:
    """facts: see `vicreg.reporting.metrics.facts`; scores: {dataset: {encoder: {probe: numbers}}}."""

    facts: dict[str, Any]
    scores: dict[str, dict[str, dict[str, Any]]]

    @property
    def datasets(self) -> dict[str, dict[str, Any]]:
        """By key, the name of each dataset, whether it is genuine, its images and fingerprints."""
        return self.facts["datasets"]

    @property
    def drawn(self) -> bool:
        return self.facts.get("source") in ("synthetic", "embedded")

    def rows(self) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """Yield (dataset, probe, encoder, numbers), the probes of a dataset one after the other."""
        for dataset in self.datasets:
            encoders = self.scores[dataset]
            probes = dict.fromkeys(probe for entry in encoders.values() for probe in entry if probe != "not_run")
            for probe in probes:
                yield from ((dataset, probe, name, entry[probe]) for name, entry in encoders.items() if probe in entry)


def parse(data: bytes, origin: str) -> Metrics:
    """Return what the bytes of a metrics.json hold; raises ValueError, naming `origin`, where it is another file."""
    try:
        if len(data) > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
        found = json.loads(data)
        metrics = Metrics(found["study"], {key: found[key] for key in found["study"]["datasets"]})
        if not isinstance(metrics.facts.get("sizes", {}), dict):
            raise ValueError("its sizes are no names with values")
        for entry in metrics.datasets.values():
            for key, kind in (("name", str), ("genuine", bool), ("fingerprints", dict)):
                if not isinstance(entry[key], kind):
                    raise ValueError(f"the {key} of a dataset is {entry[key]!r}")
        for _, _, _, numbers in metrics.rows():
            for score in ("top1", "top1_low", "top1_high", "top5", *(["gain"] if "gain" in numbers else [])):
                if not math.isfinite(number := numbers[score]):
                    raise ValueError(f"{score} is {number}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{origin} is no metrics.json of a study ({error!r}): run `dvc repro report`") from error
    return metrics
