"""reid-trainer validate: every file of a set, what it is, and why it is left out; training on the others."""

import csv
import hashlib
from pathlib import Path

import pytest

from reid.bundle import read_bundle
from reid.datasets.videos import Grouping, read_videos
from reid.errors import DatasetError
from reid.kinds import ACTION
from tests.clips.corpus import clip, sound
from tests.trainer.test_cli import invoke


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two labels of six good clips, and among the second one's files four that cannot be used."""
    root = tmp_path / "clips"
    for label, size in (("calm", 32), ("wild", 48)):
        (root / label).mkdir(parents=True)
        for number in range(6):
            data = clip(frames=4 + number, size=(size, 32), rate=5)
            (root / label / f"c{number}.mp4").write_bytes(data)
    (root / "wild" / "broken.mp4").write_bytes(clip()[:300])
    (root / "wild" / "copy.avi").write_bytes((root / "calm" / "c1.mp4").read_bytes())
    (root / "wild" / "notes.txt").write_text("not a clip")
    (root / "wild" / "sound.mkv").write_bytes(sound())
    return root


def rows(manifest: Path) -> dict[str, dict[str, str]]:
    with manifest.open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_the_manifest_says_what_every_file_is(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists" / "clips.csv"
    out.parent.mkdir()
    result = invoke("validate", clips, "--out", out)
    assert result.exit_code == 0, result.output
    listed = rows(out)
    assert len(listed) == 16
    good = listed["../clips/wild/c3.mp4"]
    assert (good["label"], good["frames"], good["fps"], good["codec"], good["verdict"]) == (
        *("wild", "7", "5.0", "mpeg4"),
        "ok",
    )
    assert good["sha256"] == hashlib.sha256((clips / "wild" / "c3.mp4").read_bytes()).hexdigest()
    verdicts = {path.rpartition("/")[2]: row["verdict"] for path, row in listed.items() if row["verdict"] != "ok"}
    assert verdicts.keys() == {"broken.mp4", "copy.avi", "notes.txt", "sound.mkv"}
    assert verdicts["sound.mkv"] == "expected a clip with a video stream, got none"
    assert verdicts["copy.avi"].endswith("calm/c1.mp4")
    assert all(f"{name}: {why}" in result.output.replace("\n", "") for name, why in verdicts.items())
    assert "12 of 16 files can be used, 4 are left out" in result.output.replace("\n", "")


def test_a_link_beside_the_manifest_keeps_its_name(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(clips)
    assert invoke("validate", tmp_path / "linked", "--out", tmp_path / "clips.csv").exit_code == 0
    assert "linked/wild/c3.mp4" in rows(tmp_path / "clips.csv")
    assert len(read_videos(tmp_path / "clips.csv", Grouping.NONE).paths) == 12


def test_a_manifest_is_trained_and_evaluated_on(clips: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "clips.csv"
    flags = ("--set", "epochs=1", "--set", "batch_size=4", "--set", "grouping=none", "--set", "folds=2")
    refused = invoke("train", "fights", "--data", clips, "--out", tmp_path / "run", *flags)
    assert refused.exit_code == 2
    assert "notes.txt: expected a clip" in refused.stderr
    assert invoke("validate", clips, "--out", manifest).exit_code == 0
    trained = invoke("train", "fights", "--data", manifest, "--out", tmp_path / "run", *flags)
    assert trained.exit_code == 0, trained.output
    bundle = read_bundle(tmp_path / "run" / "bundle", ACTION)
    assert (bundle.labels, bundle.metrics["num_files"]) == (("calm", "wild"), 6)
    evaluated = invoke("evaluate", "--data", manifest, "--bundle", tmp_path / "run" / "bundle")
    assert evaluated.exit_code == 0, evaluated.output
    assert "fold 1 of 2" in evaluated.output


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("path,label\na.mp4,wave\n")
    with pytest.raises(DatasetError, match=r"expected what `reid-trainer validate` writes, it lacks \['verdict'\]"):
        read_videos(file, Grouping.NONE)
    file.write_text("path,label,verdict\na.mp4,wave,ok\nb.mp4,clap,expected a clip\n")
    with pytest.raises(DatasetError, match=r"expected clips of at least 2 labels, got \['wave'\]"):
        read_videos(file, Grouping.NONE)


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    result = invoke("validate", tmp_path / "nothing", "--out", tmp_path / "out.csv")
    assert (result.exit_code, (tmp_path / "out.csv").exists()) == (2, False)
