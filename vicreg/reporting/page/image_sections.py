"""Chapters of the page on pictures: what encoders saw, and what they hold to be alike."""

from typing import Any

import numpy as np

from vicreg.reporting import tables
from vicreg.reporting.curves import PROBE
from vicreg.reporting.figures import maps
from vicreg.reporting.image_samples import Picture, Pictures
from vicreg.reporting.markdown import code, escape, percent, table
from vicreg.reporting.metrics import accuracies
from vicreg.reporting.page.figure_html import Drawer, about
from vicreg.reporting.page.html import Table, inline
from vicreg.reporting.study import Dataset, Study

MISTAKES = 8  # shown of each dataset


def views(study: Study, pictures: Pictures) -> dict[str, Any]:
    """Rows of (original, {policy: its views}), and which encoders learned from which policy."""
    rows = [
        (image, {policy: list(views[row]) for policy, views in pictures.views.items()})
        for row, image in enumerate(pictures.originals)
    ]
    used = {
        policy: [e for e in study.learned if study.recipes.get(e, {}).get("policy") == policy]
        for policy in pictures.views
    }
    caption = "Images of the pretraining and two draws of two views of each; pixels as they are."
    return {
        "rows": rows if pictures.views else [],
        "used": used,
        "caption": inline(f"{caption} {about(study.datasets[0])}"),
    }


def pairs(study: Study, pictures: Pictures, drawer: Drawer) -> dict[str, Any]:
    """By encoder its pairs with their invariance, and how a number is computed."""
    caption = "Below each pair its invariance: the mean squared difference of both embeddings, 0 for equal pictures."
    result, known = study.representative_loss, study.encoders
    computed = any("views" in entry for encoder, entry in result["encoders"].items() if encoder in known)
    means = tables.representative_loss(result, known)
    return {
        "table": drawer.table(means, "Means over many such pairs.", study.datasets[0]) if computed else None,
        "rows": pictures.pairs,
        "caption": inline(f"{caption} {about(study.datasets[0])}"),
        "computed": inline(escape(study.representative_loss["computed"])),
    }


def neighbours(study: Study, pictures: Pictures) -> dict[str, Any]:
    """Test images with the nearest training images by encoder, and how often these agree over all test images."""
    found = {encoder: entry for encoder, entry in study.portraits.items() if "agreement" in entry}
    said = [maps.alike(code(encoder), entry) for encoder, entry in found.items()]
    return {
        "cards": pictures.neighbours,
        "said": [inline(f"{sentence}.") for sentence in said],
        "data": inline(about(study.datasets[0])),
        "agreed": {encoder: percent(entry["agreement"]) for encoder, entry in found.items()},
    }


def agreed(pictures: list[Picture]) -> int:
    return sum(picture.good for picture in pictures)


def map_(study: Study, pictures: Pictures, drawer: Drawer) -> dict[str, Any]:
    """The map of each encoder, and one legend for all."""
    drawn = maps.map_panels(study, pictures.classes)
    points = max([len(entry["map"]["x"]) for entry in study.portraits.values() if "map" in entry], default=0)
    caption = (
        f"{points:,} test images by t-SNE (PCA to 50 dimensions, perplexity 30, first placed by PCA). Near means "
        "alike; distances between groups, their sizes and the directions mean little."
    )
    if len(pictures.classes) > maps.SHOWN:
        caption += f" The first {maps.SHOWN} of {len(pictures.classes)} classes have colours, others are pale."
    size = (3.3, 3.3 * maps.tallest(study) + 0.1)
    looks = maps.class_looks(pictures.classes, markersize=8)
    return {"figure": drawer.figure(drawn, caption, study.datasets[0], size=size, looks=looks)}


def confusion(study: Study, drawer: Drawer) -> dict[str, Any]:
    """Heat maps of the primary dataset, and on each dataset the most frequent mistakes of the best encoder."""
    primary = study.datasets[0]
    caption = (
        f"What the {PROBE} probe takes the test images of each class for, in % of the class; the diagonal is right."
    )
    drawn = maps.confusion_panels(study, primary.slot, primary.classes)
    return {
        "figure": drawer.figure(drawn, caption, primary, size=(3.3, 3.4)),
        "mistakes": [table for table in (mistakes(study, dataset, drawer) for dataset in study.datasets) if table],
    }


def mistakes(study: Study, dataset: Dataset, drawer: Drawer) -> Table | None:
    counts = maps.confusions(study, dataset.slot)
    scores = accuracies(study.evaluations, dataset.slot)
    if not counts:
        return None
    best = max(counts, key=lambda encoder: scores[encoder][PROBE]["top1"])
    worst = maps.mistakes(np.asarray(counts[best]), dataset.classes, MISTAKES)
    rows = [[escape(true), escape(guess), percent(share)] for true, guess, share in worst]
    text = table(["class", "taken for", "% of its images"], rows, "llr")
    caption = f"The most frequent mistakes with {code(best)}."
    return drawer.table(text, caption, dataset) if rows else None
