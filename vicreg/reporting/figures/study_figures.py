"""All figures of a study that are made of panels, by name."""

from vicreg.reporting.figures import line_plots
from vicreg.reporting.figures.confusion import confusion
from vicreg.reporting.figures.embedding_map import embedding_map
from vicreg.reporting.figures.interval_plot import answer
from vicreg.reporting.figures.panels import PanelFigure
from vicreg.reporting.study import Study


def study_figures(study: Study) -> dict[str, PanelFigure]:
    return {
        "answer": answer(study),
        **{f"accuracy-{dataset.role}": line_plots.accuracy(study, dataset) for dataset in study.datasets},
        **line_plots.pretraining(study),
        "map": embedding_map(study),
        "confusion": confusion(study),
    }
