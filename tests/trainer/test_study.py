import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import Result

from reid.errors import RecipeError, WeightsError
from tests.trainer.test_cli import invoke
from trainer.cell import read_cells, run_cell
from trainer.commands.study import _queue
from trainer.loop import Outcome
from trainer.published import published
from trainer.recipes.reid import PAPER
from trainer.study import BATCH_SIZE, BATCH_SIZE_WITH_RATE, LEARNING_RATE, REGULARISATION, Study, study_named
from trainer.study_report import Point, markdown, points_of, write_study_report
from trainer.trainings.reid import ReidTraining


def test_the_named_studies_are_the_papers_grids() -> None:
    rates = [LEARNING_RATE.cell_recipe(cell) for cell in range(7)]
    assert [recipe.learning_rate for recipe in rates] == [0.01, 0.03, 0.05, 0.07, 0.09, 0.1, 0.2]
    assert {(recipe.batch_size, recipe.gamma, recipe.epochs) for recipe in rates} == {(16, 0.01, 60)}
    assert [LEARNING_RATE.cell_recipe(cell).seed for cell in range(0, 21, 7)] == [0, 1, 2]
    assert [BATCH_SIZE.cell_recipe(cell).batch_size for cell in range(4)] == [8, 16, 32, 64]
    assert {BATCH_SIZE.cell_recipe(cell).learning_rate for cell in range(12)} == {0.09}
    ratios = {
        round(recipe.learning_rate / recipe.batch_size, 9)
        for recipe in (BATCH_SIZE_WITH_RATE.cell_recipe(cell) for cell in range(12))
    }
    assert ratios == {round(PAPER.learning_rate / PAPER.batch_size, 9)}


def test_the_papers_figures_stand_beside_their_points() -> None:
    assert published("learning-rate", {"learning_rate": 0.09})["rank_1"] == pytest.approx(0.825713)
    assert published("batch-size", {"batch_size": 8})["mean_ap_trapezoid"] == pytest.approx(0.0002020)
    assert published("learning-rate", {"learning_rate": 0.2}) == {}
    assert published("batch-size-with-rate", {"batch_size": 16}) == {}


def test_a_scaled_study_says_so_and_varies_the_same() -> None:
    scaled = study_named("learning-rate", "small")
    assert scaled.name == "learning-rate-scaled"
    assert scaled.cells() == LEARNING_RATE.cells()
    assert scaled.cell_recipe(0).people == 24
    assert scaled.cell_recipe(0).gamma == PAPER.gamma
    begun = study_named("learning-rate", "small", {"initial_weights": "run/bundle", "people": "30"})
    assert (begun.cell_recipe(0).initial_weights, begun.cell_recipe(0).people) == ("run/bundle", 30)
    assert study_named("learning-rate", "full", {"people": "30"}).name == "learning-rate-scaled"
    with pytest.raises(RecipeError, match="colour"):
        study_named("learning-rate", "full", {"colour": "red"})


def test_a_scaled_study_of_actions_looks_at_every_fifth_frame() -> None:
    recipe = study_named("activations-losses", "small").cell_recipe(0)
    assert (recipe.num_frames, recipe.preprocess.sampling.step(30)) == (8, 5)
    assert study_named("activations-losses", "full").cell_recipe(0).num_frames == 40
    with pytest.raises(RecipeError, match="expected the scale full, there is no smaller one of regularisation"):
        study_named("regularisation", "small")


def test_an_interval_is_of_every_file_that_was_tested_once() -> None:
    """Five folds of 20 files, of which 16 are right: 80 of 100, 0.711 to 0.867 (Wilson); seeds add no evidence."""
    cells = [
        {"cell": 5 * seed + fold, "overrides": {"fold": fold, "seed": seed}, "num_files": 20, "accuracy": 0.8}
        for seed in range(3)
        for fold in range(5)
    ]
    assert Point({}, cells).interval() == Point({}, cells[:5]).interval() == "71.1–86.7"
    alone = [cell | {"overrides": {"seed": place}} for place, cell in enumerate(cells[:5])]
    assert Point({}, alone).interval() == "58.4–91.9"


def test_the_table_gives_means_and_deviations_beside_the_paper() -> None:
    finished = {"verdict": "finished", "seconds": 60.0}
    diverged = {"verdict": "diverged at epoch 1, step 2", "seconds": 6.0}
    cells = [
        {"cell": 0, "overrides": {"learning_rate": 0.09, "seed": 0}, "rank_1": 0.5, **finished},
        {"cell": 1, "overrides": {"learning_rate": 0.09, "seed": 1}, "rank_1": 0.6, **finished},
        {"cell": 2, "overrides": {"learning_rate": 0.2, "seed": 0}, **diverged},
    ]
    text = markdown(LEARNING_RATE, points_of(LEARNING_RATE, cells))
    assert "| 55.0 ± 7.1 (82.6) |" in text
    assert "| learning_rate 0.2 | – |" in text
    assert "diverged at epoch 1, step 2 ×1" in text


def test_a_difference_is_told_cell_by_cell_with_its_p() -> None:
    """Differences 0.1, 0.2, 0.3: t = 0.2 / (0.1 / √3) = 3.46 with 2 degrees of freedom, p = 0.074."""
    cells = [
        {
            "cell": place,
            "overrides": {**point, "fold": fold, "seed": 0},
            "verdict": "finished",
            "seconds": 6.0,
            "accuracy": 0.5 + gain * fold,
        }
        for place, (point, gain, fold) in enumerate(
            (point, gain, fold)
            for point, gain in (({"dropout": 0.0}, 0.0), ({"dropout": 0.5}, 0.1))
            for fold in (1, 2, 3)
        )
    ]
    study = Study("mine", "sunglasses", {"fold": (1, 2, 3), "seed": (0,)}, repeats=("fold", "seed"))
    points = points_of(study, cells)
    assert [len(point.cells) for point in points] == [3, 3]
    assert "| +20.0 (p 0.074) |" in markdown(study, points)


def test_the_regularisation_study_is_the_papers_table() -> None:
    assert len(REGULARISATION.cells()) == 2 * 6 * 25
    points = REGULARISATION.cells()[:12]
    accuracies = [published("regularisation", point)["accuracy"] for point in points]
    assert accuracies[:6] == pytest.approx([0.976, 0.968, 0.987, 0.971, 0.984, 0.976])
    assert accuracies[6:] == pytest.approx([0.973, 0.941, 0.995, 0.971, 0.984, 0.984])
    assert REGULARISATION.cell_recipe(0).sigmoid
    assert {recipe.batch_size for recipe in map(REGULARISATION.cell_recipe, range(300))} == {1}
    assert [point["epochs"] for point in points] == [40, 40, 40, 40, 40, 60, 40, 40, 40, 40, 50, 60]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected a study"),
        ('{"name": "x"}', "expected a study"),
        ('{"name": "x", "recipe": "nothing"}', "expected a recipe of"),
        ('{"name": "x", "recipe": "debug", "axes": {"epoch": [1]}}', r"unknown recipe fields \['epoch'\]"),
        (
            '{"name": "x", "recipe": "debug", "points": [{"epochs": 0}]}',
            "epochs: expected a number of at least 1, got 0",
        ),
        ('{"name": "x", "recipe": "debug", "axes": []}', "expected a study"),
        ('{"name": "x", "recipe": "debug", "points": [3]}', "expected a study"),
        ('{"name": "x", "recipe": "debug", "axes": {"seed": 3}}', "expected a study"),
        ('{"name": "x", "recipe": "debug", "fixed": [1]}', "expected a study"),
        ('{"name": "x", "recipe": ["debug"]}', r"expected a study .*: recipe: Input should be a valid string$"),
        ('{"name": "x", "recipe": "debug", "points": []}', "expected cells, repeats"),
        ('{"name": "x", "recipe": "debug", "axes": {"seed": []}}', "expected cells, repeats"),
        ('{"name": "x", "recipe": "debug", "repeats": []}', "expected cells, repeats"),
        ('{"name": "x/y", "recipe": "debug"}', "expected cells, repeats"),
        ('{"name": "x", "recipe": "debug", "fix": {}}', "expected a study"),
    ],
)
def test_a_study_that_cannot_run_is_refused_before_its_first_cell(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "study.json"
    path.write_text(content)
    with pytest.raises(RecipeError, match=message):
        study_named(str(path), "full")


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"expected a study of .* or a JSON file, got 'nothing'"):
        study_named("nothing", "full")
    with pytest.raises(RecipeError, match=r"expected a scale of .*, got 'tiny'"):
        study_named("learning-rate", "tiny")


@pytest.mark.parametrize(
    "changed",
    [
        {"study": "learning-rate"},
        {"fixed": {"epochs": 3}},
        {"overrides": {"learning_rate": 0.05, "seed": 0}},
        {"cell": 21},
        {"recipe": {}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_studys_cells_never_stand_for_this_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    ours = study_named("learning-rate", "small")
    monkeypatch.setattr("trainer.cell.training_of", lambda *_: None)
    monkeypatch.setattr("trainer.cell._as_a_bundle", lambda *_: (Outcome("finished", 1, 1.0, 0.5), {"rank_1": 0.5}))
    run_cell(ours, 0, tmp_path, tmp_path, torch.device("cpu"))
    (cell,) = read_cells(tmp_path, ours)
    file = tmp_path / "cells" / "cell-000.json"
    file.write_text(json.dumps(cell | changed))
    with pytest.raises(RecipeError, match=r"expected cells of learning-rate-scaled .*; give each study a folder"):
        read_cells(tmp_path, ours)
    for command in ("study", "worker"):
        refused = invoke(command, "learning-rate", "--scale", "small", "--data", tmp_path, "--out", tmp_path)
        assert refused.exit_code == 2
        assert "give each study a folder" in refused.output
    assert file.read_text() == json.dumps(cell | changed)


def test_a_point_is_named_by_what_is_switched_on_or_by_all_that_is_off() -> None:
    assert Point({"dropout": 0.5, "flip": 0.0, "loss": "mean"}, []).label == "dropout 0.5, mean"
    assert Point({"weight_decay": 0.0}, []).label == "weight_decay 0"


def test_a_worker_of_what_nobody_began_says_so(
    generated_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the folder, nor with these fields, nor in another folder whose queue the same storage holds."""
    monkeypatch.setattr("trainer.commands.study.run_cell", lambda *_: None)
    monkeypatch.setattr(
        "trainer.commands.study.write_study_report", lambda out, study, _: (out / f"{study.name}.md").touch()
    )
    storage = f"sqlite:///{tmp_path / 'queues.db'}"
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"

    def ask(command: str, out: Path, epochs: int) -> Result:
        options = ("--data", generated_market, "--out", out, "--set", f"epochs={epochs}", "--storage", storage)
        return invoke(command, "learning-rate", *options)

    assert "nobody has begun" in ask("worker", here, 50).output
    assert ask("study", here, 50).exit_code == 0
    assert ask("worker", here, 50).exit_code == 0
    for out, epochs in ((here, 51), (elsewhere, 50)):
        refused = ask("worker", out, epochs)
        assert refused.exit_code == 2
        assert "nobody has begun learning-rate-scaled" in refused.output
    ran: list[int] = []
    monkeypatch.setattr("trainer.commands.study.run_cell", lambda _, cell, *__: ran.append(cell))
    assert ask("study", elsewhere, 50).exit_code == 0
    assert ran == list(range(21))


def test_a_cell_whose_weights_overflow_is_a_result_too(
    generated_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(*_: object) -> object:
        raise WeightsError("expected weights that are finite in half precision, but neck is not")

    monkeypatch.setattr(ReidTraining, "bundle", overflowing)
    study = Study("s", "debug", axes={"seed": [0]}, fixed={"epochs": 1, "sizes": [[0, 32, 16]], "warmup_epochs": 0})
    run_cell(study, 0, generated_market, tmp_path, torch.device("cpu"))
    (cell,) = read_cells(tmp_path, study)
    assert cell["verdict"].startswith("diverged by its end: expected weights that are finite")
    assert "rank_1" not in cell


def test_the_confusions_of_a_points_cells_are_drawn_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study("s", "sunglasses-paper", {"seed": [0, 1]}, [{"dropout": 0.0}, {"dropout": 0.5}])
    verdict = {"verdict": "finished", "epochs": 1, "seconds": 1.0}
    judged = {"accuracy": 0.5, "num_files": 4, "labels": ["open", "shut"]}
    cells = [
        {"cell": number, "overrides": overrides, "confusion": [[number, 1], [1, 2]], **verdict, **judged}
        for number, overrides in enumerate(study.cells())
    ]
    cells[3] = {"cell": 3, "overrides": study.cells()[3], **verdict, "verdict": "diverged at epoch 1, step 1"}
    write_study_report(tmp_path, study, cells)
    assert (tmp_path / "s-confusion.png").read_bytes().startswith(b"\x89PNG")
    drawn: dict[str, Any] = {}
    monkeypatch.setattr("trainer.study_report.draw_study_confusions", lambda *given: drawn.update(given[2]))
    write_study_report(tmp_path, study, cells)
    assert [matrix.tolist() for matrix in drawn.values()] == [[[0 + 2, 2], [2, 4]], [[1, 1], [1, 2]]]


def test_two_workers_finish_a_study_that_can_be_asked_for_again(generated_market: Path, tmp_path: Path) -> None:
    study = Study("pair", "debug", {"seed": [0, 1]}, [{"learning_rate": 1e-3}], {"epochs": 1, "warmup_epochs": 0})
    file, out = tmp_path / "pair.json", tmp_path / "out"
    file.write_text(json.dumps(study.__dict__))
    arguments = [str(file), "--data", str(generated_market), "--out", str(out)]
    lead = subprocess.Popen([sys.executable, "-m", "trainer.cli", "study", *arguments], stdout=subprocess.DEVNULL)
    while not ((out / "queue-id").exists() and _queue(study, out, "").has_begun()):
        assert lead.poll() is None
        time.sleep(0.05)
    helper = subprocess.Popen([sys.executable, "-m", "trainer.cli", "worker", *arguments])
    assert (lead.wait(300), helper.wait(300)) == (0, 0)
    results = [json.loads((out / "cells" / f"cell-{cell:03d}.json").read_text()) for cell in range(2)]
    assert [result["overrides"] for result in results] == study.cells()
    assert all(result["verdict"] == "finished" and 0 <= result["mean_ap"] <= 1 for result in results)
    names = {path.name for path in out.iterdir() if path.name.startswith("pair")}
    assert names == {"pair.csv", "pair.md", "pair.png", "pair-curves.png"}
    again = invoke("study", *arguments)
    assert again.exit_code == 0
    assert "learning_rate 0.001" in again.output
