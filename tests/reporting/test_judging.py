"""More ways to judge: tables and figure of results by depth, with few labels, by fine-tuning."""

from io import StringIO
from statistics import mean, stdev
from typing import Any

import pandas as pd
import pytest
import study_fakes as fakes

from vicreg.reporting import content, judging
from vicreg.reporting.figures.judging_plot import judging as figure
from vicreg.reporting.page import page
from vicreg.reporting.study import Study

DRAWS = [0.41, 0.44, 0.47]


def judged(top1: float) -> dict[str, Any]:
    stages = [("stage 1", 0.2, 0.3), ("stage 2", 0.5, 0.6), ("representation", 0.6, 0.5)]
    spread = {"top1_low": 0.1, "top1_high": 0.9, "top5": 0.9, "seconds": 2.0}
    depth = [{"stage": s, "numbers": 64, "top1": t * top1, "val_top1": v, **spread} for s, t, v in stages]
    whole = {"fraction": 1.0, "images": 60, "top1": [top1], "top5": [0.9], "seconds": 3.0}
    part = {"fraction": 0.1, "images": 6, "top1": [top1 * d for d in DRAWS], "top5": [0.8] * 3, "seconds": 4.0}
    datasets = {role: {"depth": depth, "few_labels": [whole, part]} for role in ("primary", "transfer")}
    tuned, absent = [whole, {**part, "rates": [0.1, 0.1]}], {"voc07": {"not_run": "not run: data absent"}}
    return {"judge": {"datasets": datasets}, "fine_tune": {"fractions": tuned}, "transfer": {"datasets": absent}}


def study(**changes: Any) -> Study:
    params = {"few_labels": {"probe": "logistic"}, "fine_tuning": {"steps": 20, "batch_size": 8, "rates": [[0.1, 0.1]]}}
    return fakes.study(judging={"random": judged(0.5), "cifar_aug": judged(1.0), **changes}, params=params)


def test_few_labels_are_means_with_their_deviation_and_gain() -> None:
    table = judging.labels_table(study(), study().datasets[0], judging.FEW)
    assert table is not None
    lines = [[text for text, _ in row] for row in table.cells]
    assert lines[3] == ["`cifar_aug`", "6", "3", "44.0 ± 3.0", "80.0", "+22.0", "4"]
    assert lines[0] == ["`random`", "60", "1", "50.0", "90.0", "baseline", "3"]


def test_the_best_stage_is_not_chosen_by_test_images() -> None:
    table = judging.depth_table(study(), study().datasets[1])
    assert table is not None
    assert [text for text, _ in table.cells[1]] == ["`cifar_aug`", "20.0", "**50.0**", "60.0"]


def test_the_data_file_holds_every_number() -> None:
    frame = pd.read_csv(StringIO(judging.as_csv(study())))
    assert list(frame.columns) == list(judging.COLUMNS) and len(frame) == 2 * (3 + 2 + 2 + 3 + 2)
    [line] = frame.query("encoder == 'cifar_aug' and way == 'fine-tuning' and images == 6").to_dict("records")
    assert (line["top1"], line["top1_std"]) == pytest.approx((mean(DRAWS), stdev(DRAWS)))
    assert line["dataset"] == "Shapes-10 (drawn)"


def test_fine_tuning_is_on_the_primary_dataset_alone() -> None:
    panels = [panel.title for panel in figure(study()).panels]
    assert len(panels) == 5 and sum("fine-tuned" in title for title in panels) == 1


def test_both_documents_have_the_chapter_only_where_rows_were_judged() -> None:
    with_rows, without = study(), fakes.study()
    for of, there in ((with_rows, True), (without, False)):
        figures = {"judging": figure(of)}
        assert ("## More ways to judge" in content.document(of)) == there
        assert bool(figures["judging"].panels) == there
    assert "`judged` names no row" in figure(without).empty


def test_other_datasets_say_what_is_absent_or_not_genuine() -> None:
    part = {"metric": "mAP", "value": 0.812, "genuine": False, "name": "VOC07 (subset or altered)"}
    table = judging.transfer_table(study(cifar_aug=judged(1.0) | {"transfer": {"datasets": {"voc07": part}}}))
    assert table is not None
    cells = [[text for text, _ in row] for row in table.cells]
    assert cells == [["`random`", "not run: data absent"], ["`cifar_aug`", "mAP 81.2 (VOC07 (subset or altered))"]]


def test_the_page_shows_the_chapter() -> None:
    from vicreg.reporting.write_report import study_figures

    of = study()
    text = page.document(of, fakes.shown(of), study_figures(of))
    assert 'id="judging"' in text and "44.0 ± 3.0" in text and "few labels, frozen" in text
