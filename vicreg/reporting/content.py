"""The report as one markdown document: the answer first, then how it came about."""

from collections.abc import Iterator

from vicreg.reporting import literature, summary, tables
from vicreg.reporting.curves import PROBE
from vicreg.reporting.markdown import code, escape
from vicreg.reporting.metrics import accuracies, best_two
from vicreg.reporting.study import Dataset, Study

ROLES = {
    "primary": "Pretraining saw images of this dataset, without their labels, and none of the test images.",
    "transfer": "Pretraining saw nothing of this dataset that tests the probes.",
}


def document(study: Study) -> str:
    """Return comparison.md; the figures lie beside it."""
    parts = [f"# The study {code(study.name)}, protocol {code(study.protocol)}, seed {study.seed}"]
    parts += [part for dataset in study.datasets for part in of_dataset(study, dataset)]
    for section in (of_pretraining, of_representative_loss, of_publications, of_origin):
        parts += section(study)
    return "\n\n".join(parts) + "\n"


def of_dataset(study: Study, dataset: Dataset) -> Iterator[str]:
    found = accuracies(study.evaluations, dataset.slot)
    yield f"## {escape(dataset.name)}: probes on frozen representations"
    if warning := summary.warning(dataset):
        yield f"> {warning}"
    yield summary.answer(found)
    if pair := best_two(study.evaluations, dataset.slot, PROBE):
        yield summary.versus(pair)
    yield tables.comparison(dataset, found)
    yield from summary.not_run(found)
    yield f"{ROLES[dataset.slot] if study.learned else ''} {summary.sizes(dataset)}".strip()
    if lines := summary.settings(study, dataset):
        yield "Settings of the probes:\n\n" + "\n".join(f"- {line}" for line in lines)
    yield f"![Accuracy of the linear probe on {escape(dataset.name)}](accuracy-{dataset.slot}.svg)"


def of_pretraining(study: Study) -> Iterator[str]:
    yield "## Pretraining"
    if not study.learned:
        yield "No encoder of this study learns."
        return
    yield "The last epoch; the terms are not weighted. Images per second: median over the epochs."
    yield tables.pretraining(study)
    yield "![Loss and its terms over the epochs](losses.svg)"
    yield "What the encoders saw, for the same images:"
    yield "![Sample views of each policy](views.svg)"


def of_representative_loss(study: Study) -> Iterator[str]:
    result = study.representative_loss
    yield "## Representative loss"
    yield escape(result["computed"])
    if any("views" in entry for name, entry in result["encoders"].items() if name in study.encoders):
        yield tables.representative_loss(result, study.encoders)
        yield "The invariance of one image against others, the first of its own class:"
        yield tables.against(result, study.encoders)
    else:
        yield "No encoder of this study has a projector, so there is nothing to compute."


def of_publications(study: Study) -> Iterator[str]:
    genuine = [dataset for dataset in study.datasets if dataset.genuine and literature.figures(dataset.key)]
    if not genuine:
        return
    yield "## Published results, and how they were measured"
    for dataset in genuine:
        yield f"{escape(dataset.name)}; here: {summary.sizes(dataset)} {summary.training(study)}"
        yield tables.publications(dataset)
    used = {figure.source for dataset in genuine for figure in literature.figures(dataset.key)}
    sources = [source for key, source in literature.SOURCES.items() if key in used]
    yield "\n".join(f"- **{source.title}** ({source.reference}): {source.protocol}" for source in sources)


def of_origin(study: Study) -> Iterator[str]:
    yield "## What the numbers mean and where they come from"
    yield "\n".join(f"- {line}" for line in _origin(study))
    yield "Seconds of work in each stage, without the start of Python:"
    yield tables.seconds(study)


def _origin(study: Study) -> Iterator[str]:
    yield (
        "Top-1 and top-5: share of the test images whose class is the first, or among the first five, "
        "choices of the probe, after its last epoch. Gain: difference of top-1, of unrounded values."
    )
    yield (
        "95 % interval: bootstrap over the test images, what other images of the same kind could have given. "
        f"It does not contain the spread over seeds: this is one run, with seed {study.seed}."
    )
    yield f"Sizes: {', '.join(summary.setting(key, value) for key, value in study.sizes.items())}."
    for dataset in study.datasets:
        marks = ", ".join(f"{split} `{digest}`" for split, digest in dataset.fingerprints.items())
        yield f"Fingerprint of {escape(dataset.name)} (SHA-256, independent of order): {marks}"
    yield f"Hardware: {escape('; '.join(study.devices)) or 'not recorded'}."
    yield f"Versions: {', '.join(f'{name} {version}' for name, version in study.versions.items())}."
    yield f"Code: {f'based on git commit {study.commit}' if study.commit else 'no git commit known'}."
