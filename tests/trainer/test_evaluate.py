import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from reid.datasets.folders import read_folders
from reid.predictors import Embedder
from tests.datasets.operator_data import write_people, write_table
from tests.evaluation.oracle import slow_retrieval
from trainer.cli import app


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per person: 6 people on 3 cameras, 3 crops each, every one a tracklet of its own."""
    root = tmp_path_factory.mktemp("operator") / "shop"
    write_people(root, "{person}/{camera}/run{index}/crop.jpg", people=6, cameras=3, per_camera=3)
    return root


def evaluated(bundle: Path, data: Path, folder: Path, *flags: str | Path) -> dict[str, object]:
    out = folder / "figures.json"
    result = invoke("evaluate", "--data", data, "--bundle", bundle, "--json", out, *flags)
    assert result.exit_code == 0, result.output
    figures: dict[str, object] = json.loads(out.read_text())
    return figures


def test_every_crop_of_a_folder_per_person_asks(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    figures = evaluated(tiny_bundle, shop, tmp_path)
    crops = read_folders(shop)
    rows = Embedder.load(tiny_bundle).embed([path.read_bytes() for path in crops.paths])
    expected = slow_retrieval(rows, rows, crops.labels, crops.labels)
    assert figures["mean_ap"] == pytest.approx(expected.mean_ap, abs=1e-6)
    assert figures["mean_inp"] == pytest.approx(expected.mean_inp, abs=1e-6)
    assert figures["rank_1"] == pytest.approx(expected.rank_k[1])
    assert (figures["num_queries"], figures["num_gallery"], figures["num_people"]) == (54, 54, 6)
    assert figures["domain"] == "shop, every crop against the others"
    assert figures["protocol"] == (
        "every crop asks, single query: same person and camera dropped, junk dropped, distractors kept"
    )
    low, high = figures["mean_ap_interval"]  # type: ignore[misc]
    assert low < figures["mean_ap"] < high  # type: ignore[has-type]
    assert figures["identification_rate_at_1e-2"] is None  # 54 searches cannot tell 1 in 100


def test_rules_and_pooling_change_the_protocol_and_say_so(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    tracklets = evaluated(tiny_bundle, shop, tmp_path, "--exclude", "same-tracklet")
    assert "same person and tracklet dropped" in str(tracklets["protocol"])
    pooled = evaluated(tiny_bundle, shop, tmp_path, "--multi-query", "mean")
    assert "multi-query (mean per person and camera)" in str(pooled["protocol"])
    assert (pooled["num_queries"], tracklets["num_queries"]) == (18, 54)


def test_reranking_is_part_of_the_protocol(generated_market: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    plain = evaluated(tiny_bundle, generated_market, tmp_path)
    reranked = evaluated(tiny_bundle, generated_market, tmp_path, "--rerank")
    assert reranked["protocol"] == f"{plain['protocol']}; k-reciprocal re-ranking"
    assert reranked["num_gallery"] == plain["num_gallery"]
    assert reranked["mean_ap"] != plain["mean_ap"]


def test_a_report_shows_people_only_when_asked(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    flags = ("evaluate", "--data", shop, "--bundle", tiny_bundle, "--report")
    for name, more in (("plain", []), ("pictures", ["--pictures"])):
        result = invoke(*flags, tmp_path / name, *more)
        assert result.exit_code == 0, result.output
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["report.html", "report.json"]
    plain, pictures = ((tmp_path / name / "report.html").read_text() for name in ("plain", "pictures"))
    assert "data:image/jpeg" not in plain
    assert pictures.count("data:image/jpeg") == 6 * 11  # the worst query of each person and its ten best matches
    contents = json.loads((tmp_path / "plain" / "report.json").read_text())
    assert contents["hardest_queries"][0]["query"].startswith("p")


def test_a_single_camera_is_evaluated_over_occasions(tiny_bundle: Path, tmp_path: Path) -> None:
    paths = write_people(tmp_path, "{person}-{index}.jpg", people=3, cameras=1, per_camera=3)
    rows = [
        {"path": path.name, "person": path.name[:2], "camera": "door", "time": f"2025-03-01T0{path.stem[-1]}:00:00Z"}
        for path in paths
    ]
    table = write_table(tmp_path / "door.csv", rows)
    result = invoke("evaluate", "--data", table, "--bundle", tiny_bundle)
    assert result.exit_code == 2
    assert "at least 2 cameras, got only 'door'" in result.stderr
    assert evaluated(tiny_bundle, table, tmp_path, "--exclude", "same-tracklet")["num_valid_queries"] == 9


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--pictures"], "expected --report with --pictures"),
        (["--report", "OUT", "--rerank"], "expected --report without --rerank"),
        (["--rerank"], "expected a query part apart from the gallery to re-rank"),
        (["--multi-query", "max", "--exclude", "same-tracklet"], "expected the rule same-camera with --multi-query"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(
    shop: Path, tiny_bundle: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    given = [str(tmp_path / "report") if flag == "OUT" else flag for flag in flags]
    result = invoke("evaluate", "--data", shop, "--bundle", tiny_bundle, *given)
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [["--report", "r"], ["--pictures"], ["--exclude", "same-tracklet"], ["--multi-query", "max"], ["--rerank"]],
)
def test_what_only_an_embedding_can_be_asked_for_is_refused(shop: Path, options: list[str]) -> None:
    result = invoke("evaluate", "--data", shop, "--bundle", "hand-signs", *options)
    assert result.exit_code == 2
    assert f"{options[0]}: expected an embedding bundle, got 'hand-signs'" in result.stderr


def embedded(bundle: Path, data: Path, out: Path) -> Path:
    assert invoke("embed", data, "--bundle", bundle, "--out", out).exit_code == 0
    return out


def test_comparing_a_bundle_with_its_own_vectors_finds_no_difference(
    shop: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "comparison.json"
    stored = embedded(tiny_bundle, shop, tmp_path / "a.npz")
    result = invoke("compare", tiny_bundle, stored, "--data", shop, "--fail-below", "0", "--json", out)
    assert result.exit_code == 0, result.output
    compared = json.loads(out.read_text())
    assert [row["metric"] for row in compared["comparisons"]] == ["rank_1", "mean_ap", "mean_inp"]
    assert {row["verdict"] for row in compared["comparisons"]} == {"no difference found"}
    assert compared["domain"] == "shop, every crop against the others"


def test_a_regression_exits_with_1(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """B knows nothing: its vectors are noise. A knows everybody."""
    good = embedded(tiny_bundle, shop, tmp_path / "a.npz")
    with np.load(good) as arrays:
        paths = arrays["path"]
    people = np.array([int(path[1]) for path in paths.tolist()])
    np.savez(good, path=paths, embedding=np.eye(8, dtype=np.float32)[people])
    noise = np.random.default_rng(0).normal(size=(len(paths), 8)).astype(np.float32)
    bad = tmp_path / "b.npz"
    np.savez(bad, path=paths, embedding=noise / np.linalg.norm(noise, axis=1, keepdims=True))
    told = invoke("compare", good, bad, "--data", shop)
    assert told.exit_code == 0
    assert "worse" in told.output
    gated = invoke("compare", good, bad, "--data", shop, "--fail-below", "-0.05", "--metric", "rank_1")
    assert gated.exit_code == 1
    assert "rank_1 of B − A may be as low as -" in gated.stderr
    assert invoke("compare", bad, good, "--data", shop, "--fail-below", "0").exit_code == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"path": ["p1/x.jpg"], "embedding": [[1.0, 0.0]]}, "54 of 54 crops have no embedding, such as p1/cam1/run0"),
        ({"path": ["a", "a"], "embedding": [[1.0], [1.0]]}, "expected each path once, got 1 twice"),
        ({"path": ["a"], "embedding": [1.0]}, r"expected embeddings \(1, D\), one per path, got \(1,\)"),
        ({"path": ["a"]}, "expected a .npz with `path` and `embedding`"),
    ],
)
def test_a_file_without_the_crops_is_refused(
    shop: Path, tmp_path: Path, arrays: dict[str, list[object]], message: str
) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, **{name: np.array(values) for name, values in arrays.items()})  # type: ignore[arg-type]
    result = invoke("compare", file, file, "--data", shop)
    assert result.exit_code == 2
    assert message.replace("\\", "") in result.stderr


def test_a_file_of_another_kind_is_refused(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no zip")
    result = invoke("compare", tmp_path / "a.npz", tmp_path / "a.npz", "--data", shop)
    assert result.exit_code == 2
    assert "expected a .npz with `path` and `embedding`" in result.stderr


def test_calibrating_ones_own_cameras(shop: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    from reid.evaluation.camera_calibration import CameraCalibration

    out = tmp_path / "calibration.json"
    result = invoke("calibrate", "--data", shop, "--bundle", tiny_bundle, "--out", out)
    assert result.exit_code == 0, result.output
    table = CameraCalibration.from_json(json.loads(out.read_text()))
    assert table.bundle_id == Embedder.load(tiny_bundle).bundle_id
    assert table.overall.num_genuine_pairs == 54 * 6
    assert table.overall.num_impostor_pairs == 54 * 45
    assert "0 pairs of cameras have a table of their own" in result.output  # 54 crops are too few for that
    assert "bootstrap over 6 people" in result.output


def test_calibrating_needs_two_people(tiny_bundle: Path, tmp_path: Path) -> None:
    write_people(tmp_path / "one", "{person}/{camera}_{index}.jpg", people=1)
    out = tmp_path / "calibration.json"
    result = invoke("calibrate", "--data", tmp_path / "one", "--bundle", tiny_bundle, "--out", out)
    assert result.exit_code == 2
    assert "pairs of different people, got 8 and 0" in result.stderr
    assert not out.exists()
