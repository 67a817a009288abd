import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from reid.datasets.market1501 import read_market1501
from reid.errors import CheckpointError, DatasetError
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.distributed import World
from trainer.held_out import hold_out
from trainer.loop import Outcome, _average, run
from trainer.recipes.reid import DEBUG, ReidRecipe
from trainer.tasks.reid import ReidTask

SMALL = dataclasses.replace(DEBUG, epochs=3, warmup_epochs=0, hold_out_people=2, batch_size=8)
CPU = torch.device("cpu")
ALONE = World(0, 1)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def train(root: Path, recipe: ReidRecipe, folder: Path, *, resume: bool = False) -> str:
    return run(ReidTask(read_market1501(root).train, recipe, CPU), recipe, folder, ALONE, resume=resume).verdict


def test_a_run_that_is_killed_and_resumed_gives_the_losses_of_one_that_was_not(
    generated_market: Path, tmp_path: Path
) -> None:
    assert train(generated_market, SMALL, tmp_path / "whole") == "finished"
    code = (
        "import sys, json, signal, os; from pathlib import Path\n"
        "import tests.trainer.test_loop as t\n"
        "root, folder = map(Path, sys.argv[1:])\n"
        "save = t.ReidTask.validate\n"
        "def kill_in_epoch_2(task, model, epoch):\n"
        "    if epoch == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return save(task, model, epoch)\n"
        "t.ReidTask.validate = kill_in_epoch_2\n"
        "t.train(root, t.SMALL, folder)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(generated_market), str(tmp_path / "killed")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(losses(tmp_path / "killed")) == 1
    assert train(generated_market, SMALL, tmp_path / "killed", resume=True) == "finished"
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_a_run_goes_on_with_no_other_crops(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, epochs=1)
    train(generated_market, recipe, tmp_path / "run")
    other = shutil.copytree(generated_market, tmp_path / "other")
    first, second = (crop.path for crop in read_market1501(other).train[-2:])
    first.write_bytes(second.read_bytes())
    with pytest.raises(CheckpointError, match="belongs to other data"):
        train(other, recipe, tmp_path / "run", resume=True)
    crops = read_market1501(generated_market).train
    relabelled = [dataclasses.replace(crop, pid=crops[0].pid) if crop.pid == crops[-1].pid else crop for crop in crops]
    assert ReidTask(relabelled, recipe, CPU).data_sha256() != ReidTask(crops, recipe, CPU).data_sha256()
    assert train(generated_market, recipe, tmp_path / "run", resume=True) == "finished"


def test_training_learns_and_watches_the_people_held_out(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, epochs=8)
    train(generated_market, recipe, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.9 * lines[0]["loss"]
    assert all(0 <= line["mean_ap"] <= 1 and 0 <= line["rank_1"] <= 1 for line in lines)
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert (outcome["verdict"], outcome["epochs"]) == ("finished", 8)
    assert json.loads((tmp_path / "recipe.json").read_text())["name"] == "debug"


def test_averaged_weights_are_what_is_kept(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, epochs=1, average_decay=0.5)
    task = ReidTask(read_market1501(generated_market).train, recipe, CPU)
    run(task, recipe, tmp_path, ALONE, resume=False)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    name = "network.neck.0.weight"
    assert torch.equal(task.model.state_dict()[name], state["average"][f"module.{name}"])
    assert not torch.equal(task.model.state_dict()[name], state["model"][name])


def test_gradients_are_scaled_down_to_the_norm_asked_for(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, epochs=1, max_gradient_norm=1e-3)
    task = ReidTask(read_market1501(generated_market).train, recipe, CPU)
    run(task, recipe, tmp_path, ALONE, resume=False)
    gradients = [parameter.grad for parameter in task.model.parameters() if parameter.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_a_growing_batch_makes_fewer_steps(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, hold_out_people=0, batch_growth=((1, 2), (2, 3)))
    task = ReidTask(read_market1501(generated_market).train, recipe, CPU)
    assert [task.steps_per_epoch(epoch) for epoch in range(3)] == [48 // 8, 48 // 16, 48 // 48]
    assert next(task.batches(2, ALONE)).inputs.shape[0] == 48
    assert run(task, recipe, tmp_path, ALONE, resume=False).verdict == "finished"


def test_curves_are_kept_as_table_and_picture(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, hold_out_crops=1)
    train(generated_market, recipe, tmp_path)
    header, *rows = (tmp_path / "curves.csv").read_text().splitlines()
    names = header.split(",")
    assert {"epoch", "loss", "top1_error", "validation_loss", "validation_error", "learning_rate", "waiting"} <= set(
        names
    )
    assert [row.split(",")[0] for row in rows] == ["1", "2", "3"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_holds_a_run_is_not_overwritten(generated_market: Path, tmp_path: Path) -> None:
    train(generated_market, SMALL, tmp_path)
    before = (tmp_path / "log.jsonl").read_text()
    with pytest.raises(CheckpointError, match="holds a run: resume it, or choose another folder"):
        train(generated_market, SMALL, tmp_path)
    assert train(generated_market, SMALL, tmp_path, resume=True) == "finished"
    assert (tmp_path / "log.jsonl").read_text() == before


def test_an_exploding_run_ends_with_a_verdict(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, optimiser="sgd", learning_rate=1e30, weight_decay=0.0)
    assert train(generated_market, recipe, tmp_path) == "diverged at epoch 1, step 2"
    assert json.loads((tmp_path / "outcome.json").read_text())["verdict"] == "diverged at epoch 1, step 2"


def test_an_average_soon_forgets_where_it_began() -> None:
    """Weights that stand at 1 after a first step at 0: with a bare decay of 0.99 the average of 20 steps is 0.17."""
    model = torch.nn.BatchNorm1d(1)
    average = _average(model, 0.99)
    assert average is not None
    with torch.no_grad():
        for step in range(20):
            model.weight.fill_(float(step > 0))
            model.running_mean.fill_(float(step > 0))
            average.update_parameters(model)
    expected = 1.0
    for step in range(1, 20):
        expected *= (1 + step) / (10 + step)
    assert average.module.weight.item() == pytest.approx(1 - expected)
    assert average.module.running_mean.item() == pytest.approx(1 - expected)
    assert 1 - expected > 0.99


def test_a_loss_that_explodes_but_stays_finite_ends_the_run(generated_market: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, optimiser="sgd", learning_rate=3e3, weight_decay=0.0, epochs=1, batch_size=4)
    verdict = train(generated_market, recipe, tmp_path)
    assert verdict.startswith("diverged at epoch 1, step ")
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert 1e3 < outcome["final_loss"] < float("inf")


def test_an_outcome_is_json_whatever_the_loss() -> None:
    assert Outcome("finished", 3, 1.0, 0.5).to_json()["final_loss"] == 0.5
    for loss in (float("nan"), float("inf")):
        said = Outcome("diverged at epoch 1, step 2", 0, 1.0, loss).to_json()
        assert json.loads(json.dumps(said, allow_nan=False)) == said
        assert "final_loss" not in said


def test_a_change_of_size_reads_the_crops_anew(generated_market: Path) -> None:
    recipe = dataclasses.replace(SMALL, sizes=((0, 32, 16), (1, 64, 32)))
    task = ReidTask(read_market1501(generated_market).train, recipe, CPU)
    shapes = [next(task.batches(epoch, ALONE)).inputs.shape for epoch in range(2)]
    assert shapes == [torch.Size([8, 3, 32, 16]), torch.Size([8, 3, 64, 32])]


def test_people_held_out_are_not_trained_on(generated_market: Path) -> None:
    crops = read_market1501(generated_market).train
    rest, held_out = hold_out(crops, people=3, crops_each=1)
    assert {crop.pid for crop in rest} == {4, 5, 6, 7, 8}
    assert {crop.pid for crop in held_out.people} == {1, 2, 3}
    assert [crop.pid for crop in held_out.crops] == [4, 5, 6, 7, 8]
    assert {*rest, *held_out.people, *held_out.crops} == set(crops)
    assert len(rest) + len(held_out.people) + len(held_out.crops) == len(crops)
    with pytest.raises(DatasetError, match="at most 6 of the 8 people, got 7"):
        hold_out(crops, people=7, crops_each=0)
    with pytest.raises(DatasetError, match="more than 6 crops of every person, got 6 of person 1"):
        hold_out(crops, people=0, crops_each=6)


def test_a_batch_larger_than_the_data_is_refused(generated_market: Path) -> None:
    recipe = dataclasses.replace(SMALL, batch_size=64)
    with pytest.raises(DatasetError, match="at least one batch of 64 crops, got 36"):
        ReidTask(read_market1501(generated_market).train, recipe, CPU)


def test_the_backbone_learns_at_its_share_of_the_rate(generated_market: Path) -> None:
    recipe = dataclasses.replace(SMALL, learning_rate=0.5, backbone_learning_rate=0.1)
    task = ReidTask(read_market1501(generated_market).train, recipe, CPU)
    backbone, head = task.parameter_groups()
    assert (backbone["lr"], head["lr"]) == (pytest.approx(0.05), 0.5)
    grouped = {id(parameter) for group in (backbone, head) for parameter in group["params"]}
    assert grouped == {id(parameter) for parameter in task.model.parameters()}


def test_frozen_parameters_reach_no_optimiser(generated_market: Path) -> None:
    recipe = dataclasses.replace(SMALL, head="bnneck", embedding_size=512)
    task = ReidTask(read_market1501(generated_market).train, recipe, CPU)
    grouped = {id(parameter) for group in task.parameter_groups() for parameter in group["params"]}
    assert id(task.network.neck[1].bias) not in grouped


def test_a_checkpoint_of_another_recipe_names_the_fields(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"recipe": {"epochs": 3, "seed": 0}, "data": ""})
    with pytest.raises(CheckpointError, match="another recipe: epochs was 3, now 4"):
        load_checkpoint(path, {"epochs": 4, "seed": 0}, "")


def test_a_checkpoint_goes_on_with_its_own_data_alone(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"recipe": {}, "data": "some"})
    assert load_checkpoint(path, {}, "some")
    with pytest.raises(CheckpointError, match="belongs to other data"):
        load_checkpoint(path, {}, "others")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for content in (b"no checkpoint", b"ustar", bytes(200), b"\x80\x02}q\x00("):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not readable, expected what torch saved"):
            load_checkpoint(path, {}, "")
    torch.save({"conv1.weight": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="belongs to another recipe: epochs was None, now 3"):
        load_checkpoint(path, {"epochs": 3}, "")


@pytest.mark.parametrize("keep_bytes", [0, 10, 200])
def test_a_torn_checkpoint_is_refused(tmp_path: Path, keep_bytes: int) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"recipe": {}, "data": ""})
    path.write_bytes(path.read_bytes()[:keep_bytes])
    with pytest.raises(CheckpointError, match="not readable, expected what torch saved"):
        load_checkpoint(path, {}, "")


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """No file may grow beyond 64 kB: what a full disk looks like to a writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, small_files_only: None) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"recipe": {}, "data": "", "epoch": 1})
    too_large: dict[str, Any] = {"recipe": {}, "epoch": 2, "weights": torch.zeros(10**6)}
    with pytest.raises(CheckpointError, match="the last checkpoint is untouched"):
        save_checkpoint(path, too_large)
    assert load_checkpoint(path, {}, "")["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
