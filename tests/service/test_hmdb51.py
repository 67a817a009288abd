"""HMDB51 from its folders to an answer: train on its official split, write a bundle, ask the service. Real clips, of
which there are too few at hand to claim any accuracy."""

from pathlib import Path

import pytest

from reid.bundle import read_bundle
from reid.datasets.hmdb51 import SPLITS
from reid.kinds import ACTION
from reid.predictors import ActionRecognizer
from tests.service.test_actions import recognise
from tests.trainer.test_cli import invoke

LABELS = ("brush_hair", "cartwheel", "climb", "climb_stairs", "golf", "pour", "punch", "shoot_bow", "swing_baseball")
LABELS += ("wave",)
TESTED = ("cartwheel", "wave")  # of the others there is one clip each
RECIPES = {
    "paper-actions": (),
    "actions": ("validation_folds=0", "flip=0.5", "batch_size=4", "warmup_epochs=0"),
}
SMALL = ("backbone=tf_efficientnet_lite0", "initial_weights=package", "size_px=64", "num_frames=4", "epochs=1")


@pytest.fixture(scope="module")
def hmdb51(datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips in a folder for each label, by their names, and split files of the official form beside it."""
    root = tmp_path_factory.mktemp("hmdb51") / "clips"
    lists: dict[str, list[str]] = {label: [] for label in LABELS}
    for clip in sorted((datasets / "hmdb51").glob("*.avi")):
        told = [label for label in LABELS if f"_{label}_" in f"_{clip.stem}_"]
        label = max(told, key=len)
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / clip.name).symlink_to(clip)
        part = 2 if label in TESTED and not lists[label] else 1
        lists[label].append(f"{clip.name} {part} \n")
    (root.parent / SPLITS).mkdir()
    for label, lines in lists.items():
        (root.parent / SPLITS / f"{label}_test_split1.txt").write_text("".join(lines))
    assert sum(map(len, lists.values())) == 13
    return root


@pytest.mark.parametrize("recipe", RECIPES)
def test_its_clips_go_through_training_and_bundle_to_an_answer(hmdb51: Path, service, recipe: str) -> None:
    run, folder = service.core.settings.home / "run", service.core.settings.home / "models"
    flags = [part for flag in (*SMALL, *RECIPES[recipe], "official_split=1") for part in ("--set", flag)]
    trained = invoke("train", recipe, "--data", hmdb51, "--out", run, *flags)
    assert trained.exit_code == 0, trained.output
    folder.mkdir(exist_ok=True)
    (run / "bundle").rename(folder / "hmdb51")
    bundle = read_bundle(folder / "hmdb51", ACTION)
    assert (bundle.labels, bundle.metrics["num_files"]) == (LABELS, len(TESTED))
    assert bundle.metrics["protocol"] == "HMDB51's official split 1"
    told = f"among the best five {bundle.metrics['top_5_accuracy']:.2%}"
    assert bundle.metrics["accuracy"] <= bundle.metrics["top_5_accuracy"]
    assert told in trained.output
    assert told in (folder / "hmdb51" / "card.md").read_text()
    clip = next((hmdb51 / "wave").iterdir()).read_bytes()
    answer = recognise(service, clip, bundle="hmdb51")
    assert answer["bundle_id"] == bundle.id
    recognizer = ActionRecognizer.load(folder / "hmdb51", "cpu")
    assert {one["label"]: one["score"] for one in answer["labels"]} == pytest.approx(
        {one.label: one.score for one in recognizer.predict(clip)}, abs=1e-4
    )
    recognizer.close()
