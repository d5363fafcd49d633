"""Confusion: which class the linear probe takes for which."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from vicreg.data.superclasses import SUPERCLASSES
from vicreg.reporting.curves import PROBE, probe_results
from vicreg.reporting.figures.panels import Panel, PanelFigure
from vicreg.reporting.metrics import best
from vicreg.reporting.study import Dataset, Study

NUMBERED = 20  # classes up to which a heat map has room for numbers and names


def confusion(study: Study) -> PanelFigure:
    """Return a heat map per row: of the test images of each primary class, the share taken for each class."""
    primary = study.datasets[0]
    panels = [_panel(row, matrix, primary.classes) for row, matrix in matrices(study, primary).items()]
    title = f"{primary.name}: what the linear probe takes each class for, % of its test images"
    return PanelFigure(title, panels, "not recorded", height=2.9, size=(3.7, 3.9))


def by_superclass(study: Study) -> PanelFigure:
    """Return a heat map of CIFAR-100 by its 20 superclasses, of the best row; no panel where no probe ran on it."""
    of_class = {name: number for number, names in enumerate(SUPERCLASSES.values()) for name in names}
    panels = []
    for dataset in study.labeled:
        found = matrices(study, dataset)
        row = best(study.evaluations, dataset.role)
        if row in found and of_class.keys() == set(dataset.classes):
            belongs = np.eye(len(SUPERCLASSES), dtype=int)[[of_class[name] for name in dataset.classes]]  # (100, 20)
            panels = [_panel(row, belongs.T @ found[row] @ belongs, list(SUPERCLASSES))]
    title = "CIFAR-100: what the linear probe takes each superclass for, % of its test images"
    return PanelFigure(title, panels, "not recorded", height=6.4, size=(7.2, 7.4))


def matrices(study: Study, dataset: Dataset) -> dict[str, np.ndarray]:
    """Counts (C, C) of the linear probe by row of the study, true class in rows, first guess in columns."""
    results = {row: p.get(PROBE, {}) for row, p in probe_results(study.evaluations, dataset.role).items()}
    return {row: np.array(result["confusion"]) for row, result in results.items() if "confusion" in result}


def mistakes(matrix: np.ndarray, classes: Sequence[str], most: int) -> list[tuple[str, str, float]]:
    """The most frequent mistakes as (true class, guess, share of the true class's images), most frequent first."""
    wrong = _shares(matrix) * (1 - np.eye(len(matrix)))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(i), len(matrix)) for i in order]
    return [(classes[i], classes[j], float(wrong[i, j])) for i, j in pairs if wrong[i, j] > 0]


def _shares(matrix: np.ndarray) -> np.ndarray:
    """Counts (C, C) as shares of each line; a class without images has zeros."""
    return matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))


def _panel(row: str, matrix: np.ndarray, classes: Sequence[str]) -> Panel:
    worst = [f"{share:.0%} of {true} taken for {guess}" for true, guess, share in mistakes(matrix, classes, 3)]
    right = f"{np.trace(matrix) / max(1, matrix.sum()):.1%} right"
    alt_text = f"{row}: {right}; most frequent mistakes: {'; '.join(worst) or 'none'}"
    return Panel(row, partial(_heat, shares=_shares(matrix), classes=classes), alt_text)


def _heat(axes: Axes, shares: np.ndarray, classes: Sequence[str]) -> None:
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="face", linewidth=0.2)
    axes.set(aspect="equal", xlabel="first guess", ylabel="true class")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if len(classes) > NUMBERED:
        return
    middles = [i + 0.5 for i in range(len(classes))]
    axes.set_xticks(middles, classes, rotation=90, fontsize=7)
    axes.set_yticks(middles, classes, fontsize=7)
    axes.tick_params(length=0)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:  # others would be a 0
            text, color = f"{100 * share:.0f}", "#000000" if share < 0.55 else "#ffffff"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7, color=color)
