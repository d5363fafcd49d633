"""Tables and sentences say what the numbers say, and words where there is no number."""

import re
from typing import Any

import numpy as np
import pytest
import study_fakes as fakes

from vicreg.evaluation.intervals import pack_bits
from vicreg.reporting import content, literature, markdown, recipes, reproduce, tables
from vicreg.reporting.markdown import Table
from vicreg.reporting.metrics import accuracies, best_two, metrics
from vicreg.reporting.page.html import say
from vicreg.reporting.study import Dataset, Study

Evaluations = dict[str, dict[str, Any]]


def score(top1: float, low: float, high: float, top5: float = 0.9) -> dict[str, Any]:
    return {
        "top1": top1,
        "top1_low": low,
        "top1_high": high,
        "top5": top5,
        "curve": [],
        "settings": {"lr": 0.3},
        "hits": pack_bits(np.random.default_rng(round(1000 * high)).permutation(1000) < 1000 * top1),
    }


def evaluation(**probes: dict[str, Any]) -> dict[str, Any]:
    return {"datasets": {role: {"test": 1000, "probes": probes} for role in ("primary", "transfer")}}


def dataset(key: str = "shapes10", *, genuine: bool = False, synthetic: bool = True, role: str = "primary") -> Dataset:
    names = {"shapes10": "Shapes-10 (drawn)", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "mine": "Holidays"}
    subsets = {"pretrain": 40000, "probe_test": 500, "probe_train": 1500}
    return Dataset(role, key, names[key], genuine, synthetic, tuple("abcdefghij"), subsets, {"train": "ab12"})


def study(evaluations: Evaluations, *datasets: Dataset, **changes: Any) -> Study:
    values: dict[str, Any] = {
        "name": "embedded",
        "sizes": {"source": "synthetic", "width": 8, "allow_subset": False, "fractions": {"pretrain": 0.1}},
        "protocol": "report",
        "seed": 7,
        "datasets": datasets or (dataset(),),
        "pretraining": {name: {"history": [], "online": []} for name in evaluations},
        "evaluations": evaluations,
        "pair_losses": {},
        "neighbors": {},
        "seconds": [{"stage": "split", "seconds": 1.25, "device": "cpu: X (2 cores)"}],
        "versions": {"python": "3.11.0"},
        "evaluated_by": {"features": "c0de"},
        "commit": "abc1234",
    }
    return Study(**values | changes)


RANDOM = score(0.30004, 0.26, 0.34)
BETTER = score(0.61249, 0.57, 0.65)
BOTH = {"random": evaluation(linear=RANDOM), "cifar_aug": evaluation(linear=BETTER)}
NOT_RUN = {"not_run": "not run: `pretrained.weights` names no file"}


def rows(table: Table) -> list[list[str]]:
    """The cells of a table as markdown, split at the pipes that are not escaped."""
    lines = [line for line in table.to_markdown().splitlines() if not re.fullmatch(r"[|:-]+", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_gain_is_that_of_unrounded_values():
    scores = accuracies(BOTH, "primary")
    assert scores["cifar_aug"]["linear"]["gain"] == pytest.approx(0.61249 - 0.30004)
    assert scores["random"]["linear"]["gain"] == 0
    # 61.2 - 30.0 is what rounded values would give, 31.245 is the true difference.
    assert rows(tables.comparison(dataset(), scores))[2][4].split()[0] == "+31.2"
    near = {"random": evaluation(linear=score(0.3004, 0, 1)), "a": evaluation(linear=score(0.3016, 0, 1))}
    gain = rows(tables.comparison(dataset(), accuracies(near, "primary")))[2][4]
    assert gain.split()[0] == "+0.1"  # not 30.2 - 30.0


def test_a_row_shows_top1_with_its_interval_and_top5():
    row = rows(tables.comparison(dataset(), accuracies(BOTH, "primary")))[1]
    assert row == ["linear", "`random`", "30.0 (26.0 – 34.0)", "90.0", "baseline"]


def test_a_gain_that_may_be_chance_shows_both_signs():
    evaluations = {"random": evaluation(linear=RANDOM), "a": evaluation(linear=score(0.31, 0.28, 0.35))}
    gain = rows(tables.comparison(dataset(), accuracies(evaluations, "primary")))[2][4]
    assert re.fullmatch(r"\+1\.0 \(-\d\.\d to \+\d\.\d\)", gain)


def test_a_small_loss_is_not_shown_as_minus_zero():
    assert markdown.points(-0.0001) == "+0.0"
    assert markdown.points(-0.031) == "-3.1"


def test_every_probe_has_its_rows_in_their_order():
    pair = {"linear": RANDOM, "knn": BETTER}
    scores = accuracies({"b": evaluation(**pair), "random": evaluation(**pair)}, "primary")
    assert [row[:2] for row in rows(tables.comparison(dataset(), scores))[1:]] == [
        ["linear", "`b`"],
        ["linear", "`random`"],
        ["knn", "`b`"],
        ["knn", "`random`"],
    ]


@pytest.mark.parametrize("evaluations", [{"cifar_aug": evaluation(linear=BETTER)}, BOTH | {"random": NOT_RUN}])
def test_without_the_baseline_there_is_no_gain(evaluations):
    scores = accuracies(evaluations, "primary")
    assert "gain" not in scores["cifar_aug"]["linear"]
    assert rows(tables.comparison(dataset(), scores))[1][4] == "no baseline"


@pytest.mark.parametrize("genuine", [True, False])
@pytest.mark.parametrize(
    ("entry", "state", "sentence"),
    [
        (NOT_RUN, "not run", "`x` was not run: `pretrained.weights` names no file."),
        (
            {"collapsed": "epoch 3: all embeddings are alike"},
            "collapsed",
            "`x` collapsed: epoch 3: all embeddings are alike.",
        ),
    ],
)
def test_a_row_without_numbers_has_words(genuine, entry, state, sentence):
    report = study(BOTH | {"x": entry}, dataset("cifar10", genuine=genuine))
    scores = accuracies(report.evaluations, "primary")
    assert scores["x"] == entry
    row = rows(tables.comparison(report.datasets[0], scores))[-1]
    assert row[:3] == ["all", "`x`", state]
    assert set(row[3:]) == {""}
    assert content.result(report, report.datasets[0])["notes"] == [sentence]


def test_the_accuracy_of_a_pretext_task_stands_beside_the_probes():
    scores = accuracies(BOTH, "primary")
    table = rows(tables.comparison(dataset("cifar10", genuine=True), scores, {"cifar_aug": 0.875}))
    assert table[0][5] == "pretext task %" and "student report" in table[0][6]
    assert [row[5] for row in table[1:]] == ["", "87.5"]


def test_published_figures_stand_beside_the_linear_probe():
    scores = accuracies({name: evaluation(linear=BETTER, knn=BETTER) for name in BOTH}, "primary")
    table = rows(tables.comparison(dataset("cifar10", genuine=True), scores))
    assert "student report" in table[0][5]
    assert [row[5] for row in table[1:]] == ["29.3 (79.8)", "80.2 (99.1)", "", ""]
    table = rows(tables.comparison(dataset("cifar100", genuine=True), scores))
    assert [row[5] for row in table[1:3]] == ["11.7 (25.4)", "45.2 (74.9)"]


@pytest.mark.parametrize("key", ["shapes10", "cifar10"])
def test_no_published_figure_is_in_a_report_on_other_data(key):
    text = content.document(study(BOTH, dataset(key, synthetic=key == "shapes10")))
    for source in literature.CONTENT["sources"].values():
        assert source["reference"] not in text
    for figure in literature.CONTENT["figures"]:
        assert f"{figure['top1']:g}" not in text


def test_a_report_on_genuine_data_names_every_source():
    both = (
        dataset("cifar10", genuine=True, synthetic=False),
        dataset("cifar100", genuine=True, synthetic=False, role="transfer"),
    )
    text = content.document(study(BOTH, *both))
    for source in literature.CONTENT["sources"].values():
        assert source["reference"] in text and source["protocol"] in text
    for number in ("85.5", "not given", "92.07", "99.74", "68.54", "90.83", "82.2", "54.6"):
        assert number in text
    assert "drawn" not in text


def test_data_that_is_not_cifar_is_called_so():
    assert "drawn pictures, not CIFAR" in say("warning", dataset())
    assert "CIFAR-10 is not complete CIFAR" in say("warning", dataset("cifar10", synthetic=False))
    own = say("warning", dataset("mine", synthetic=False))
    assert "Holidays is not CIFAR: published figures are not comparable" in own
    assert say("warning", dataset("cifar10", genuine=True, synthetic=False)) == ""


def test_odd_names_cannot_break_a_table():
    odd = "a|b\n*c* `d` [e](f) <g>"
    table = Table([markdown.escape(odd)], {"n": str}, [[markdown.code(odd), 1]])
    assert rows(table) == [[r"a\|b \*c\* \`d\` \[e\](f) \<g\>", "n"], [r"a\|b \*c\* \`d\` \[e\](f) \<g\>", "1"]]


def test_a_table_sorts_by_numbers_and_not_by_their_text():
    table = Table(
        ["x"], {"n": "{:,.1f}".format, "both": "{0[0]} / {0[1]}".format}, [["a", 1204.5, (3, 9)], ["b", "not run"]]
    )
    assert table.cells == [
        [("a", None), ("1,204.5", 1204.5), ("3 / 9", 3)],
        [("b", None), ("not run", None), ("", None)],
    ]


def test_pair_losses_of_methods_have_tables_of_their_own():
    losses = {"a": fakes.pair_loss(), "b": fakes.pair_loss("distance"), "random": {"not_run": "it has no projector"}}
    recipes = {"a": fakes.recipe("a"), "b": fakes.recipe("b", method={"name": "simclr"})}
    report = study(BOTH, pair_losses=losses, pretraining={row: {"recipe": recipe} for row, recipe in recipes.items()})
    vicreg, simclr = content.content(report)["pair_losses"].items()
    assert (vicreg[0], rows(vicreg[1])[0]) == ("vicreg", ["encoder", "pair", "invariance", "variance"])
    assert rows(vicreg[1])[1] == ["`a`", "two views", "0.100", "0.800"]
    assert (simclr[0], rows(simclr[1])[0]) == ("simclr", ["encoder", "pair", "distance"])
    text = content.document(report)
    assert "whose numbers cannot be compared" in text and text.count("is a mean over pairs.") == 2


def test_settings_of_probes_are_told_where_they_differ():
    def result(**settings: Any) -> dict[str, Any]:
        return evaluation(logistic=score(0.5, 0.4, 0.6) | {"settings": settings})

    report = study({"a": result(C=0.1, standardize=True, tried={"1": 2}), "b": result(C=1.0, standardize=True)})
    shown = content.result(report, dataset())
    assert shown["settings"] == ["logistic (standardize yes)."]
    assert rows(shown["chosen"])[1:] == [["`a`", "C 0.1"], ["`b`", "C 1"]]


def test_pretraining_shows_whatever_each_method_logged():
    def result(method: str, **terms: float) -> dict[str, Any]:
        epochs = [{"epoch": n, "loss": 3.0 / n, **terms, "images_per_second": 100.0 * n} for n in (1, 2, 3)]
        return {"images": 4000, "train_seconds": 61.2, "history": epochs, "recipe": {"method": {"name": method}}}

    results = {"x": result("a", entropy=0.5), "y": result("b", effective_rank=2.0), "random": {"history": []}}
    assert rows(content.content(study(BOTH, pretraining=results))["pretraining"]) == [
        ["encoder", "loss and its terms in the last epoch", "images × epochs", "images / s", "seconds"],
        ["`x`", "loss 1.000, entropy 0.500", "4,000 × 3", "200", "61"],
        ["`y`", "loss 1.000", "4,000 × 3", "200", "61"],
    ]
    results["x"]["peak_memory"] = 3 * 2**29
    assert [row[5] for row in rows(content.content(study(BOTH, pretraining=results))["pretraining"])] == [
        "GPU memory, GiB", "1.5", ""
    ]  # fmt: skip


def test_a_verdict_on_collapse_is_a_sentence():
    def result(std: float, rank: float, **more: float) -> dict[str, Any]:
        epoch = {"embedding_std": std, "embedding_correlation": 0.1, "effective_rank": rank, **more}
        return {"history": [epoch | {"embedding_std": 0.0}, epoch]}

    sound = {"x": result(0.484, 66.2, max_rank=512)}
    assert content.collapse_verdicts(sound) == ["**No collapse**: std 0.48 of 1 (`x`), rank 66 of 512 (`x`)."]
    more = sound | {"gone": result(0.04, 3, max_rank=512), "other": result(0.3, 70, max_rank=512)}
    more["none"] = {"history": [{"loss": 1.0}]}
    signs, others = content.collapse_verdicts(more)
    assert signs.startswith("**Signs of collapse** in `gone`: embeddings hardly differ (standard deviation 0.040;")
    assert "fill 3.0 of 512 possible dimensions" in signs
    assert others == "**No collapse** in 2 encoders: lowest std 0.30 of 1 (`other`), lowest rank 66 of 512 (`x`)."
    assert content.collapse_verdicts({}) == []


def test_what_recipes_share_is_told_once():
    made = {row: fakes.recipe(row) for row in ("random", "a", "b")}
    made["b"] |= {"epochs": 9, "method": {"name": "mine"}}
    shared, own = recipes.summary(made)
    assert shared == "`resnet` of width 8, views `aug` (crops of 20 % or more), batches of 64, `lars`"
    assert own["a"].endswith("dimensions uncorrelated. 3 epochs.") and own["b"] == "`mine`. 9 epochs."
    assert own["random"].endswith("the floor of every table.")
    made["b"] |= {"policy": {"name": "mine"}}
    assert " Views `mine`" in recipes.summary(made)[1]["b"]


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://name:secret@example.org/some/where.git", "https://example.org/some/where#readme"),
        ("git@example.org:some/where.git", "https://example.org/some/where#readme"),
        ("/a/folder", "../../README.md"),
        (None, "../../README.md"),
    ],
)
def test_the_readme_has_an_address(monkeypatch, origin, address):
    monkeypatch.setattr(reproduce.provenance, "git", lambda *arguments: origin)
    assert reproduce.readme() == address


def test_the_document_says_how_its_numbers_came_about():
    text = content.document(study(BOTH))
    for fact in (
        "seed 7",
        "`report`",
        "width 8",
        "allow subset no",
        "fractions (pretrain 0.1)",
        "python 3.11.0",
        "ab12",
    ):
        assert fact in text
    for fact in ("40,000 images for pretraining", "1,500 images for training the probes", "git commit `abc1234`"):
        assert fact in text
    assert "cpu: X (2 cores)" in text and "1.2" in text and "lr 0.3" in text


def test_seconds_are_summed_by_kind_of_stage():
    times = {"pretrain-a": 1000.0, "split": 1.0, "pretrain-b": 998.0}
    entries = [{"stage": stage, "seconds": seconds, "device": "cpu: X"} for stage, seconds in times.items()]
    table = tables.seconds(study(BOTH, seconds=entries))
    assert rows(table)[1:] == [["`pretrain`", "1,998.0", "99.9"], ["`split`", "1.0", "0.1"]]
    assert table.bars == pytest.approx([1, 1 / 1998])


def test_metrics_hold_numbers_and_the_study():
    values = metrics(study(BOTH | {"resnet50_paper": NOT_RUN}))
    keys = {"top1", "top1_low", "top1_high", "top5", "gain", "gain_low", "gain_high"}
    assert values["shapes10"]["cifar_aug"]["linear"].keys() == keys
    assert values["shapes10"]["resnet50_paper"] == NOT_RUN
    assert values["study"]["seconds"] == {"split": 1.25, "total": 1.25}
    assert values["study"]["datasets"]["shapes10"]["genuine"] is False


def test_the_two_best_are_compared_image_by_image():
    weak, strong = score(0.50, 0, 0.5), score(0.51, 0, 1)
    strong["hits"] = pack_bits(np.arange(1000) < 510)
    weak["hits"] = pack_bits(np.arange(1000) < 500)  # a subset of the stronger one's: 10 images gained, none lost
    evaluations = {"random": evaluation(linear=RANDOM), "a": evaluation(linear=weak), "b": evaluation(linear=strong)}
    pair = best_two(evaluations, "primary", "linear")
    assert pair is not None and (pair["best"], pair["second"]) == ("b", "a")
    assert 0 < pair["low"] < 0.01 < pair["high"]
    assert "`b` is +1.0 points ahead of `a`" in say("lead", pair) and "chance" not in say("lead", pair)
    assert "may be chance" in say("lead", pair | {"low": -0.01})
    assert best_two(BOTH, "primary", "linear") is None


def test_rows_below_the_baseline_are_no_best_two():
    scores = {"random": 0.5, "a": 0.4, "b": 0.3}
    evaluations = {row: evaluation(linear=score(top1, top1 - 0.05, top1 + 0.05)) for row, top1 in scores.items()}
    assert best_two(evaluations, "primary", "linear") is None


ABOVE = "80.0 % top-1 with a linear probe, 50.0 points above `random`"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"random": 0.3, "a": 0.5, "b": 0.8}, f"`b` reaches {ABOVE}, 30.0 points ahead of `a` (50.0 %);"),
        ({"random": 0.3, "a": 0.775, "b": 0.8}, f"`b` reaches {ABOVE}, without a lead over `a` (77.5 %) that"),
        ({"random": 0.5, "a": 0.525}, "2.5 points above `random`, which may be chance;"),
        (
            {"random": 0.8, "a": 0.3},
            "no encoder gains over `random` (80.0 %): `a` reaches 30.0 % top-1 with a linear probe, "
            "50.0 points below it;",
        ),
        (
            {"random": 0.5, "a": 0.4, "b": 0.5},
            "no encoder gains over `random` (50.0 %): the highest of the others, `b`, reaches 50.0 % top-1 "
            "with a linear probe, just as much;",
        ),
        ({"random": 0.3}, "On Shapes-10 (drawn), `random` reaches 30.0 % top-1 with a linear probe;"),
        ({"a": 0.3}, "On Shapes-10 (drawn), `a` reaches 30.0 % top-1 with a linear probe;"),
        ({"random": None}, "No encoder ran the linear probe, so there is no answer yet."),
    ],
)
def test_the_answer_says_what_the_numbers_say(scores: dict[str, float | None], expected: str) -> None:
    study = fakes.study(scores)
    assert expected in content.headline(study, study.labeled)


def test_a_probe_at_chance_is_named() -> None:
    report = fakes.study({"random": 0.3, "x": 0.5})
    report.evaluations["x"]["datasets"]["primary"]["probes"]["linear"]["at_chance"] = True
    assert content.chance(report, report.datasets[0]) == [
        "`x` cannot be told from chance by the probe linear, which separates synthetic features."
    ]
