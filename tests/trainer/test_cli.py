import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from reid.bundle import read_bundle
from reid.datasets.crop import labels_of
from reid.datasets.market1501 import read_market1501
from reid.evaluation.retrieval import PROTOCOL
from reid.kinds import EMBEDDING
from reid.predictors import Embedder
from tests.evaluation.oracle import slow_retrieval
from trainer.cli import app


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `train debug` on generated people."""
    out = tmp_path_factory.mktemp("runs") / "debug"
    result = invoke("train", "debug", "--data", "generated", "--out", out, "--licence", "CC0")
    assert result.exit_code == 0, result.output
    return out


def test_training_ends_in_a_bundle_with_a_card_and_a_calibration(trained: Path) -> None:
    bundle = read_bundle(trained / "bundle", EMBEDDING)
    assert (bundle.name, bundle.licence, bundle.network.embedding_size) == ("debug", "CC0", 64)
    assert bundle.metrics["protocol"] == PROTOCOL
    assert bundle.calibration is not None
    assert bundle.calibration.domain == "generated, query against gallery"
    card = (trained / "bundle" / "card.md").read_text()
    assert bundle.id in card
    assert f"{bundle.metrics['rank_1']:.2%}" in card


def test_training_is_worth_more_than_chance(trained: Path) -> None:
    assert read_bundle(trained / "bundle", EMBEDDING).metrics["rank_1"] > 0.4  # of 16 people


def test_what_is_evaluated_is_what_is_served(trained: Path, tmp_path: Path) -> None:
    """`evaluate` from the command line, against the Embedder's own vectors and the blackboard."""
    bundle, data = trained / "bundle", trained / "generated"
    result = invoke("evaluate", "--data", data, "--bundle", bundle, "--json", tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    market = read_market1501(data)
    embedder = Embedder.load(bundle)
    query, gallery = (
        embedder.embed([crop.path.read_bytes() for crop in part]) for part in (market.query, market.gallery)
    )
    expected = slow_retrieval(query, gallery, labels_of(market.query), labels_of(market.gallery))
    assert figures["mean_ap"] == pytest.approx(expected.mean_ap, abs=1e-6)
    assert figures["mean_ap_trapezoid"] == pytest.approx(expected.mean_ap_trapezoid, abs=1e-6)
    assert [figures[f"rank_{k}"] for k in (1, 5, 10)] == pytest.approx([expected.rank_k[k] for k in (1, 5, 10)])
    assert figures["num_valid_queries"] == expected.num_valid_queries == figures["num_queries"]
    assert figures["bundle_id"] == embedder.bundle_id == read_bundle(bundle, EMBEDDING).id
    assert f"{figures['rank_1']:.2%}" in result.output


def test_embed_writes_unit_rows_sorted_by_path(trained: Path, tmp_path: Path) -> None:
    folder, out = trained / "generated" / "query", tmp_path / "query.npz"
    assert invoke("embed", folder, "--bundle", trained / "bundle", "--out", out).exit_code == 0
    with np.load(out) as arrays:
        paths, rows = arrays["path"], arrays["embedding"]
    assert paths.tolist() == sorted(path.name for path in folder.iterdir())
    assert (rows.shape, rows.dtype) == ((len(paths), 64), np.float32)
    again = Embedder.load(trained / "bundle").embed([(folder / path).read_bytes() for path in paths])
    assert (rows * again).sum(axis=1).min() > 0.999


def test_a_students_teacher_may_be_a_file_of_embeddings(trained: Path, tmp_path: Path) -> None:
    data = trained / "generated"
    teacher = tmp_path / "teacher.npz"
    assert invoke("embed", data / "bounding_box_train", "--bundle", trained / "bundle", "--out", teacher).exit_code == 0
    overrides = {"teacher": teacher, "teacher_cosine": 1, "teacher_pairs": 1, "epochs": 1, "warmup_epochs": 0}
    flags = [part for field, value in overrides.items() for part in ("--set", f"{field}={value}")]
    result = invoke("train", "debug", "--data", data, "--out", tmp_path / "student", *flags)
    assert result.exit_code == 0, result.output
    recipe = read_bundle(tmp_path / "student" / "bundle", EMBEDDING).recipe
    assert recipe["teacher"] == "teacher.npz"  # the file's name and not this machine's path


def test_divergence_exits_with_1(trained: Path, tmp_path: Path) -> None:
    overrides = ["--set", "optimiser=sgd", "--set", "learning_rate=1e30", "--set", "warmup_epochs=0"]
    result = invoke("train", "debug", "--data", trained / "generated", "--out", tmp_path / "run", *overrides)
    assert result.exit_code == 1
    assert "diverged at epoch 1" in result.output
    assert not (tmp_path / "run" / "bundle").exists()


def test_lr_range_counts_momentum_and_judges_each_rate(trained: Path) -> None:
    small = ["--set", "optimiser=sgd", "--set", "sizes=[[0,32,16]]", "--set", "batch_size=8"]
    rates = ["--rate", "1e-6", "--rate", "1e6"]
    said = invoke("lr-range", "debug", "--data", trained / "generated", *small, *rates).output
    largest, lazy, divergent = (
        float(re.search(rf"{words} ([\d.e+-]+)", said)[1])
        for words in ("largest curvature", "lazy below", "divergent above")
    )
    assert (lazy * largest, divergent * largest) == (pytest.approx(0.2, rel=0.02), pytest.approx(1.2, rel=0.02))
    assert "1e-06: lazy" in said
    assert "1e+06: divergent" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lr-range", "debug", "--data", "DATA"], "expected a recipe with the optimiser sgd"),
        (["train", "basline", "--data", "DATA", "--out", "OUT"], "expected a recipe of"),
        (["train", "debug", "--data", "DATA", "--out", "OUT", "--set", "epochs"], "--set: expected FIELD=VALUE"),
        (["train", "debug", "--data", "DATA", "--out", "OUT", "--set", "epoch=1"], "unknown recipe fields ['epoch']"),
        (["train", "debug", "--data", "OUT", "--out", "OUT"], "expected labelled crops, got none"),
        (["train", "debug", "--data", "DATA", "--out", "OUT", "--device", "gpu"], "expected a device of auto, cpu"),
        (["train", "light", "--data", "DATA", "--out", "OUT"], "teacher: expected a bundle folder or a .npz"),
        (["evaluate", "--data", "DATA", "--bundle", "nothing"], "expected a bundle folder"),
        (["embed", "OUT", "--out", "OUT/x.npz", "--bundle", "BUNDLE"], "expected images"),
        (["embed", "DATA", "--out", "OUT/x.csv", "--bundle", "BUNDLE"], "ends in .npz, got 'x.csv'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(trained: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    places = {"DATA": trained / "generated", "BUNDLE": trained / "bundle", "OUT": tmp_path}
    given = [next((a.replace(k, str(v)) for k, v in places.items() if a.startswith(k)), a) for a in arguments]
    result = invoke(*given)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_crop_is_named(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing more")
    result = invoke("embed", tmp_path, "--out", tmp_path / "x.npz", "--bundle", trained / "bundle")
    assert result.exit_code == 2
    assert "torn.jpg: " in result.stderr
    assert not (tmp_path / "x.npz").exists()


def test_without_what_the_trainer_needs_it_says_what_to_install() -> None:
    hidden = "import sys; sys.modules.update(optuna=None, sklearn=None); import trainer.cli"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "reid-trainer: expected optuna, sklearn: pip install 'reid-service[train]'\n"
