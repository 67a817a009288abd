import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reid.errors import RecipeError
from tests.trainer import gradients
from trainer.distributed import World


def torchrun(processes: int, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_give_the_gradients_of_one(generated_market: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    gradients.main(generated_market, one)
    torchrun(2, "-m", "tests.trainer.gradients", generated_market, two)
    expected, got = load_file(one), load_file(two)
    assert expected.keys() == got.keys()
    assert any(gradient.abs().max() > 1e-3 for gradient in expected.values())
    for name, gradient in expected.items():
        assert torch.allclose(got[name], gradient, rtol=1e-3, atol=1e-5), name


def test_debug_trains_under_torchrun(tmp_path: Path) -> None:
    out = tmp_path / "run"
    torchrun(2, "-m", "trainer.cli", "train", "debug", "--data", "generated", "--out", out, "--set", "epochs=2")
    assert json.loads((out / "outcome.json").read_text())["verdict"] == "finished"
    assert len((out / "log.jsonl").read_text().splitlines()) == 2
    assert (out / "bundle" / "bundle.json").is_file()


def test_one_process_gathers_what_it_has() -> None:
    world = World(0, 1)
    rows = torch.rand(3, 2)
    model = torch.nn.Linear(2, 2)
    assert world.leads
    assert world.gather(rows) is rows
    assert world.wrap(model, torch.device("cpu")) is model


def test_processes_share_a_batch_evenly_or_not_at_all() -> None:
    batch = np.arange(6)
    assert [World(rank, 3).share(batch).tolist() for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(RecipeError, match="expected batches that 4 processes can share evenly, got one of 6"):
        World(0, 4).share(batch)


def test_patience_is_one_for_all_processes(tmp_path: Path) -> None:
    """Rank 0 alone looks at what was held back; the others stop with it, or wait for it for ever."""
    arguments = ("--set", "epochs=4", "--set", "patience=1", "--set", "hold_out_crops=1", "--set", "learning_rate=1e-9")
    out = tmp_path / "run"
    torchrun(2, "-m", "trainer.cli", "train", "debug", "--data", "generated", "--out", out, *arguments)
    losses = [json.loads(line)["validation_loss"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(losses) in (2, 3, 4)
    assert len(losses) == 4 or losses[-1] >= min(losses[:-1])
    assert (out / "bundle" / "bundle.json").is_file()


def test_only_rank_0_leads() -> None:
    assert [World(rank, 3).leads for rank in range(3)] == [True, False, False]
