"""Tables and sentences say what the numbers say, and words where there is no number."""

import re
from typing import Any

import numpy as np
import pytest

from vicreg.evaluation.intervals import packed
from vicreg.reporting import literature, markdown, markdown_report, summary, tables
from vicreg.reporting.metrics import accuracies, best_two, metrics
from vicreg.reporting.study import Dataset, Study, versions

Evaluations = dict[str, dict[str, Any]]


def score(top1: float, low: float, high: float, top5: float = 0.9) -> dict[str, Any]:
    return {
        "top1": top1,
        "top1_low": low,
        "top1_high": high,
        "top5": top5,
        "curve": [],
        "settings": {"lr": 0.3},
        "hits": packed(np.random.default_rng(round(1000 * high)).permutation(1000) < 1000 * top1),
    }


def evaluation(**probes: dict[str, Any]) -> dict[str, Any]:
    return {"datasets": {slot: {"test": 1000, "probes": probes} for slot in ("primary", "transfer")}}


def dataset(key: str = "shapes10", *, genuine: bool = False, drawn: bool = True, slot: str = "primary") -> Dataset:
    names = {"shapes10": "Shapes-10 (drawn)", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
    purposes = {"pretrain": 40000, "probe_test": 500, "probe_train": 1500}
    return Dataset(slot, key, names[key], genuine, drawn, tuple("abcdefghij"), purposes, {"train": "ab12"})


def study(evaluations: Evaluations, *datasets: Dataset, **changes: Any) -> Study:
    values: dict[str, Any] = {
        "name": "embedded",
        "sizes": {"source": "embedded", "width": 8, "epochs": 10, "subset": False, "fractions": {"pretrain": 0.1}},
        "protocol": "report",
        "seed": 7,
        "datasets": datasets or (dataset(),),
        "pretraining": {name: {"history": [], "online": []} for name in evaluations},
        "evaluations": evaluations,
        "representative_loss": {"encoders": {}, "computed": "Mean over 10 pairs."},
        "seconds": [{"stage": "split", "seconds": 1.25, "device": "cpu: X (2 cores)"}],
        "versions": {"python": "3.11.0"},
        "commit": "abc1234",
    }
    return Study(**values | changes)


RANDOM = score(0.30004, 0.26, 0.34)
BETTER = score(0.61249, 0.57, 0.65)
BOTH = {"random": evaluation(linear=RANDOM), "cifar_aug": evaluation(linear=BETTER)}
NOT_RUN = {"not_run": "not run: `literature.weights` names no file"}


def rows(table: str) -> list[list[str]]:
    """The cells of a markdown table, split at the pipes that are not escaped."""
    lines = [line for line in table.splitlines() if not re.fullmatch(r"[|:-]+", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_gain_is_that_of_unrounded_values():
    found = accuracies(BOTH, "primary")
    assert found["cifar_aug"]["linear"]["gain"] == pytest.approx(0.61249 - 0.30004)
    assert found["random"]["linear"]["gain"] == 0
    # 61.2 - 30.0 is what rounded values would give, 31.245 is the true difference.
    assert rows(tables.comparison(dataset(), found))[2][5].split()[0] == "+31.2"
    near = {"random": evaluation(linear=score(0.3004, 0, 1)), "a": evaluation(linear=score(0.3016, 0, 1))}
    shown = rows(tables.comparison(dataset(), accuracies(near, "primary")))[2][5]
    assert shown.split()[0] == "+0.1"  # not 30.2 - 30.0


def test_a_row_shows_top1_with_its_interval_and_top5():
    row = rows(tables.comparison(dataset(), accuracies(BOTH, "primary")))[1]
    assert row == ["linear", "`random`", "30.0", "26.0 – 34.0", "90.0", "baseline"]


def test_a_small_loss_is_not_shown_as_minus_zero():
    assert markdown.points(-0.0001) == "+0.0"
    assert markdown.points(-0.031) == "-3.1"


def test_every_probe_has_its_rows_in_the_order_of_the_encoders():
    pair = {"linear": RANDOM, "knn": BETTER}
    found = accuracies({"b": evaluation(**pair), "random": evaluation(**pair)}, "primary")
    assert [row[:2] for row in rows(tables.comparison(dataset(), found))[1:]] == [
        ["linear", "`b`"],
        ["linear", "`random`"],
        ["knn", "`b`"],
        ["knn", "`random`"],
    ]


@pytest.mark.parametrize("evaluations", [{"cifar_aug": evaluation(linear=BETTER)}, BOTH | {"random": NOT_RUN}])
def test_without_the_baseline_there_is_no_gain(evaluations):
    found = accuracies(evaluations, "primary")
    assert "gain" not in found["cifar_aug"]["linear"]
    assert rows(tables.comparison(dataset(), found))[1][5] == "no baseline"
    assert "no gain to state" in summary.answer(found)


@pytest.mark.parametrize("genuine", [True, False])
def test_an_encoder_that_did_not_run_has_words_and_no_number_in_its_row(genuine):
    found = accuracies(BOTH | {"resnet50_paper": NOT_RUN}, "primary")
    assert found["resnet50_paper"] == NOT_RUN
    row = rows(tables.comparison(dataset("cifar10", genuine=genuine), found))[-1]
    assert row[:3] == ["all", "`resnet50_paper`", "not run"]
    assert set(row[3:]) == {""}
    assert summary.not_run(found) == ["`resnet50_paper` was not run: `literature.weights` names no file."]


def test_published_figures_stand_beside_the_linear_probe_of_genuine_data():
    found = accuracies({name: evaluation(linear=BETTER, knn=BETTER) for name in BOTH}, "primary")
    table = rows(tables.comparison(dataset("cifar10", genuine=True), found))
    assert "student report" in table[0][6]
    assert [row[6] for row in table[1:]] == ["29.3 / 79.8", "80.2 / 99.1", "", ""]
    table = rows(tables.comparison(dataset("cifar100", genuine=True), found))
    assert [row[6] for row in table[1:3]] == ["11.7 / 25.4", "45.2 / 74.9"]


@pytest.mark.parametrize("key", ["shapes10", "cifar10"])
def test_no_published_figure_is_anywhere_in_a_report_on_other_data(key):
    text = markdown_report.document(study(BOTH, dataset(key, drawn=key == "shapes10")))
    for source in literature.SOURCES.values():
        assert source.reference not in text
    for figure in literature.FIGURES:
        assert f"{figure.top1:g}" not in text


def test_a_report_on_genuine_data_names_every_source_and_its_protocol():
    both = (dataset("cifar10", genuine=True, drawn=False), dataset("cifar100", genuine=True, slot="transfer"))
    text = markdown_report.document(study(BOTH, *both))
    for source in literature.SOURCES.values():
        assert source.reference in text and source.protocol in text
    for number in ("85.5", "not given", "92.07", "99.74", "68.54", "90.83", "82.2", "54.6"):
        assert number in text
    assert "drawn" not in text


def test_data_that_is_not_cifar_is_called_so():
    assert "drawn pictures, not CIFAR" in (summary.warning(dataset()) or "")
    assert "not complete CIFAR" in (summary.warning(dataset("cifar10", drawn=False)) or "")
    assert summary.warning(dataset("cifar10", genuine=True, drawn=False)) is None


@pytest.mark.parametrize(
    ("top1", "low", "high", "words"),
    [
        (0.612, 0.57, 0.65, "`x` gains +31.2 points of top-1 over `random` (61.2 % against 30.0 %)"),
        (0.312, 0.27, 0.35, "`x` is +1.2 points of top-1 from `random` (31.2 % against 30.0 %), but"),
        (0.288, 0.25, 0.33, "`x` is -1.2 points of top-1 from `random` (28.8 % against 30.0 %), but"),
        (0.1, 0.08, 0.12, "`x` loses: -20.0 points of top-1 from `random` (10.0 % against 30.0 %)"),
    ],
)
def test_the_answer_is_honest(top1, low, high, words):
    found = accuracies({"random": evaluation(linear=RANDOM), "x": evaluation(linear=score(top1, low, high))}, "primary")
    answer = summary.answer(found)
    assert words in answer and answer.startswith("With the linear probe, ")
    assert ("may be chance" in answer) == (abs(top1 - 0.3) < 0.02)


def test_the_answer_of_a_study_in_which_little_ran():
    assert summary.answer({"x": NOT_RUN}) == "No encoder ran, so there is nothing to compare."
    only = accuracies({"random": evaluation(linear=RANDOM)}, "primary")
    assert summary.answer(only) == "Only `random` ran: 30.0 % top-1 with the linear probe."


def test_odd_names_cannot_break_a_table():
    odd = "a|b\n*c* `d` [e](f) <g>"
    loss = {"loss": 1.0, "invariance": 0.0, "variance": 0.04, "covariance": 0.0}
    entry = {
        "views": loss,
        "same": loss,
        "different": loss,
        "anchor": odd,
        "against": [{"class": odd, "invariance": 2}] * 2,
    }
    header, *body = rows(tables.against({"encoders": {"x": entry}}, ["x"]))
    assert header[1] == header[2] == r"a\|b \*c\* \`d\` \[e\](f) \<g\>"
    assert body == [["`x`", "2.000", "2.000"]]


def test_representative_losses_of_removed_encoders_are_passed_over():
    loss = {"loss": 1.5, "invariance": 0.01, "variance": 0.05, "covariance": 0.0}
    entry = {"views": loss, "same": loss, "different": loss, "anchor": "cat", "against": []}
    table = rows(tables.representative_loss({"encoders": {"old": entry, "x": entry}}, ["random", "x"]))
    assert [row[0] for row in table] == ["encoder", "`x`", "`x`", "`x`"]
    assert table[1] == ["`x`", "two views of one image", "1.500", "0.010", "0.050", "0.000"]


def test_settings_are_named_by_encoder_where_they_differ():
    def result(**settings: Any) -> dict[str, Any]:
        return evaluation(logistic=score(0.5, 0.4, 0.6) | {"settings": settings})

    found = study({"a": result(C=0.1, standardise=True), "b": result(C=1.0, standardise=True)})
    assert summary.settings(found, dataset()) == ["logistic: C 0.1 for `a`, 1.0 for `b`, standardise yes"]


def test_pretraining_shows_whatever_a_method_reports():
    epochs = [{"epoch": n, "loss": 3.0 / n, "entropy": 0.5, "images_per_second": 100.0 * n} for n in (1, 2, 3)]
    learned = {"x": {"images": 4000, "history": epochs}, "random": {"images": 4000, "history": []}}
    header, row = rows(tables.pretraining(study(BOTH, pretraining=learned)))
    assert header == ["encoder", "images", "epochs", "loss", "entropy", "images per second"]
    assert row == ["`x`", "4,000", "3", "1.000", "0.500", "200"]


def test_the_document_says_how_its_numbers_came_about():
    text = markdown_report.document(study(BOTH))
    for fact in (
        "seed 7",
        "`report`",
        "width 8",
        "subset no",
        "fractions (pretrain 0.1)",
        "python 3.11.0",
        "ab12",
    ):
        assert fact in text
    for fact in (
        "40,000 images for pretraining",
        "1,500 images for training the probes",
        "git commit abc1234",
    ):
        assert fact in text
    assert "cpu: X (2 cores)" in text and "1.2" in text and "lr 0.3" in text


def test_hardware_is_a_column_only_where_stages_ran_on_several():
    one = {"stage": "split", "seconds": 1.0, "device": "cpu: X"}
    other = {"stage": "pretrain-x", "seconds": 1001.5, "device": "cuda: Y"}
    assert rows(tables.seconds(study(BOTH, seconds=[one])))[-1] == ["sum of stages", "1.0"]
    assert rows(tables.seconds(study(BOTH, seconds=[one, other])))[2] == [
        "`pretrain-x`",
        "1,001.5",
        "cuda: Y",
    ]
    assert rows(tables.seconds(study(BOTH, seconds=[one, other])))[-1] == ["sum of stages", "1,002.5", ""]


def test_metrics_hold_numbers_by_dataset_encoder_and_probe_and_the_study():
    found = metrics(study(BOTH | {"resnet50_paper": NOT_RUN}))
    assert found["shapes10"]["cifar_aug"]["linear"].keys() == {
        "top1",
        "top1_low",
        "top1_high",
        "top5",
        "gain",
        "gain_low",
        "gain_high",
    }
    assert found["shapes10"]["resnet50_paper"] == NOT_RUN
    assert found["study"]["seconds"] == {"split": 1.25, "total": 1.25}
    assert found["study"]["datasets"]["shapes10"]["genuine"] is False


def test_two_datasets_of_one_key_are_an_error():
    with pytest.raises(ValueError, match="must differ"):
        study(BOTH, dataset(), dataset(slot="transfer"))


def test_versions_leave_out_what_is_not_installed():
    assert versions(["numpy", "no-such-package-here"]).keys() == {"python", "numpy"}


def test_the_two_best_are_compared_image_by_image():
    weak, strong = score(0.30, 0, 0.5), score(0.31, 0, 1)
    strong["hits"] = packed(np.arange(1000) < 310)
    weak["hits"] = packed(np.arange(1000) < 300)  # a subset of the stronger one's: 10 images gained, none lost
    evaluations = {"random": evaluation(linear=RANDOM), "a": evaluation(linear=weak), "b": evaluation(linear=strong)}
    pair = best_two(evaluations, "primary", "linear")
    assert pair is not None and (pair["best"], pair["second"]) == ("b", "a")
    assert 0 < pair["low"] < 0.01 < pair["high"]
    assert "`b` is +1.0 points ahead of `a`" in summary.versus(pair) and "chance" not in summary.versus(pair)
    assert "may be chance" in summary.versus(pair | {"low": -0.01})
    assert best_two(BOTH, "primary", "linear") is None
