import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reid.bundle import read_bundle
from reid.datasets.market1501 import read_market1501
from reid.errors import DatasetError
from reid.kinds import EMBEDDING
from reid.predictors import Embedder, served_on
from trainer.cli import app
from trainer.training_data import read_training_data


@pytest.fixture(scope="session")
def own_people(tmp_path_factory: pytest.TempPathFactory, generated_market: Path) -> Path:
    """The same drawn people as a folder per person; one of them on one camera only, and a few distractors."""
    root = tmp_path_factory.mktemp("own") / "shop"
    market = read_market1501(generated_market)
    for crop in (*market.train, *market.gallery):
        name = "0" if crop.pid == 0 else f"person-{crop.pid}"
        if crop.pid == market.train[0].pid and crop.camid == 2:
            continue
        folder = root / name / f"camera-{crop.camid}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(crop.path, folder / crop.path.name)
    return root


def test_own_people_are_split_by_person(own_people: Path) -> None:
    data = read_training_data(own_people)
    learned = {crop.path.parents[1].name for crop in data.crops}
    asking = {data.test.paths[row].parents[1].name for row in data.test.query}
    everyone = {folder.name for folder in own_people.iterdir()} - {"0"}
    assert learned | asking == everyone
    assert not learned & asking
    assert len(asking) >= len(everyone) // 5
    assert data.test.domain == "shop, people kept back, every crop against the others"
    only_one_camera = next(folder.name for folder in own_people.iterdir() if not (folder / "camera-2").exists())
    assert only_one_camera in learned
    assert {data.test.camera_names[camid] for camid in np.unique(data.test.labels.camids)} == {"camera-1", "camera-2"}


def test_market1501_keeps_its_own_parts(generated_market: Path) -> None:
    data, market = read_training_data(generated_market), read_market1501(generated_market)
    assert data.crops == market.train
    assert len(data.test.query) == len(market.query)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"a": ["c1_1", "c2_1"], "b": ["c1_1"], "c": ["c1_1"], "d": ["c1_1"]}, "4, of whom 1 were seen by 2 cameras"),
        ({"a": ["c1_1", "c2_1"], "b": ["c1_1", "c2_1"], "c": ["c1_1"]}, "expected at least 4 people.* got 3"),
        ({"a": ["c1_1", "c2_1"], "b": []}, "b: expected crops of a person, got an empty folder"),
    ],
)
def test_too_few_people_are_counted(tmp_path: Path, layout: dict[str, list[str]], message: str) -> None:
    for person, names in layout.items():
        (tmp_path / person).mkdir()
        for name in names:
            (tmp_path / person / f"{name}.jpg").write_bytes(f"{person}/{name}".encode())
    with pytest.raises(DatasetError, match=message):
        read_training_data(tmp_path)


def test_an_operator_trains_on_their_own_people(own_people: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ["--set", "epochs=1", "--set", "warmup_epochs=0"]
    result = CliRunner().invoke(app, ["train", "debug", "--data", str(own_people), "--out", str(out), *flags])
    assert result.exit_code == 0, result.output
    bundle = read_bundle(out / "bundle", EMBEDDING)
    assert bundle.calibration is not None
    assert bundle.calibration.domain == "shop, people kept back, every crop against the others"
    assert bundle.metrics["protocol"].startswith("every crop asks, single query: same person and camera dropped")


def test_what_was_trained_is_judged_as_it_is_served(
    own_people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []

    def load(folder: Path, device: str) -> Embedder:
        devices.append(device)
        return Embedder.load(folder, device)

    monkeypatch.setattr("trainer.trainings.reid.Embedder", SimpleNamespace(load=load))
    flags = ["--set", "epochs=1", "--set", "warmup_epochs=0", "--device", "cpu"]
    run = ["train", "debug", "--data", str(own_people), "--out", str(tmp_path / "run"), *flags]
    assert CliRunner().invoke(app, run).exit_code == 0
    assert devices == [served_on(torch.device("cpu"))]
    assert torch.cuda.is_available() or devices == ["auto"]


@pytest.mark.parametrize("part", ["trained on", "held out", "tested on"])
def test_a_crop_that_does_not_decode_is_named_before_training(own_people: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(own_people, folder)
    data = read_training_data(folder)
    first, *_, last = sorted(data.crops, key=lambda crop: crop.pid)
    torn = {"trained on": last.path, "held out": first.path, "tested on": data.test.paths[0]}[part]
    torn.write_bytes(b"\xff\xd8\xff\xe0nothing more")
    flags = ["--data", str(folder), "--out", str(tmp_path / "run"), "--set", "hold_out_people=1"]
    result = CliRunner().invoke(app, ["train", "debug", *flags])
    assert result.exit_code == 2
    assert torn.name in result.stderr
    assert not (tmp_path / "run" / "log.jsonl").exists()
    assert not (tmp_path / "run" / "bundle").exists()
