import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid.bundle import load_network, read_bundle
from reid.datasets.videos import Grouping, read_videos, recording_of
from reid.errors import ClipError, DatasetError, RecipeError
from reid.kinds import ACTION
from reid.predictors import ActionRecognizer
from tests.clips.corpus import clip
from tests.trainer.test_cli import invoke
from trainer.cell import read_cells
from trainer.folds import parts_of
from trainer.frame_features import head_inputs, start_network
from trainer.published import published
from trainer.recipes.actions import ACTIONS, ACTIONS_PAPER, ActionRecipe
from trainer.recipes.fields import recipe_from_json
from trainer.study import ACTIVATIONS_LOSSES, ACTIVATIONS_LOSSES_HMDB51, study_named
from trainer.tasks.action_networks import NetworkTask

FLAGS = [
    part
    for flag in ("initial_weights=none", "size_px=32", "num_frames=4", "epochs=2", "batch_size=8")
    for part in ("--set", flag)
]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels: clips that brighten quickly, and ones that hardly change; five recordings of each."""
    root = tmp_path_factory.mktemp("clips")
    for label, rate in (("calm", 30), ("wild", 5)):
        (root / label).mkdir()
        for number in range(10):
            data = clip(frames=4 + number % 3, rate=rate, size=(48 + 2 * (number % 2), 32))
            (root / label / f"c{5 * number:03d}.mp4").write_bytes(data)
    return root


HEADS = {"flow": (), "motion": ("backbone=tf_efficientnet_lite0", "head=motion", "fit=letterbox")}


@pytest.fixture(scope="module", params=HEADS)
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    out = tmp_path_factory.mktemp("runs") / request.param
    flags = [part for flag in HEADS[request.param] for part in ("--set", flag)]
    result = invoke("train", "fights", "--data", clips, "--out", out, *FLAGS, *flags)
    assert result.exit_code == 0, result.output
    return out


def test_training_ends_in_a_bundle_that_is_evaluated_as_it_is_served(
    trained: Path, clips: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(trained / "bundle", ACTION)
    assert (bundle.labels, bundle.network.head) == (("calm", "wild"), trained.name)
    assert bundle.metrics["protocol"] == "fold 1 of 5, no group on both sides"
    assert bundle.metrics["num_files"] == 4
    assert bundle.id in (trained / "bundle" / "card.md").read_text()
    out = tmp_path / "figures.json"
    result = invoke("evaluate", "--data", clips, "--bundle", trained / "bundle", "--json", out)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert figures["confusion"] == bundle.metrics["confusion"]
    assert figures["protocol"] == bundle.metrics["protocol"]


def test_a_prediction_sums_to_one_and_bad_bytes_are_named(trained: Path) -> None:
    recognizer = ActionRecognizer.load(trained / "bundle")
    answer = recognizer.predict(clip(frames=9))
    assert sorted(score.label for score in answer) == ["calm", "wild"]
    assert sum(score.score for score in answer) == pytest.approx(1, abs=1e-5)
    (span,) = recognizer.spans(clip(frames=9))
    assert (span.start_s, span.end_s) == pytest.approx((0.2, 0.5), abs=0.02)
    assert span.labels == answer
    with pytest.raises(ClipError):
        recognizer.predict(b"no clip")
    recognizer.close()


def test_a_clip_that_does_not_decode_is_named(clips: Path, tmp_path: Path) -> None:
    data = tmp_path / "clips"
    for path in clips.rglob("*.mp4"):
        target = data / path.relative_to(clips)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (data / "wild" / "c000.mp4").write_bytes(b"nothing")
    result = invoke("train", "fights", "--data", data, "--out", tmp_path / "run", *FLAGS)
    assert result.exit_code == 2
    assert "wild/c000.mp4: expected a clip in one of mov" in result.stderr
    assert not (tmp_path / "run").exists()


def test_recordings_are_told_from_names() -> None:
    hmdb = "AdvancedBoxingTechniquesandExercises_punch_u_nm_np1_ba_med_23.avi"
    assert recording_of(Path(hmdb), Grouping.HMDB51) == "AdvancedBoxingTechniquesandExercises_punch"
    assert recording_of(Path("cartwheel.avi"), Grouping.HMDB51) == "cartwheel"
    with pytest.raises(DatasetError, match="expected a name like v_YoYo_g01_c01"):
        recording_of(Path("clip.avi"), Grouping.UCF101)
    with pytest.raises(DatasetError, match="expected a number in the name"):
        recording_of(Path("clip.avi"), Grouping.RANGES)


def test_real_folders_are_read_and_grouped(datasets: Path) -> None:
    fights = read_videos(datasets / "fights", Grouping.RANGES)
    assert (len(fights.paths), fights.label_names) == (167, ("fight", "noFight"))
    assert np.bincount(fights.labels).tolist() == [90, 77]
    assert fights.groups is not None
    assert np.bincount(fights.groups).max() <= 10
    ucf = read_videos(datasets / "ucf101", Grouping.UCF101)
    assert len(ucf.paths) == 21
    with pytest.raises(DatasetError, match="expected folders of at least 2 labels"):
        read_videos(datasets / "hmdb51", Grouping.HMDB51)


def run_study(tmp_path: Path, clips: Path, *points: dict[str, Any], **fixed: object) -> list[dict[str, Any]]:
    """The cells of a study of the paper's recipe, on a network of random weights and small frames."""
    small = {"backbone": "tf_efficientnet_lite0", "initial_weights": "none", "size_px": 32, "num_frames": 3}
    study = {"name": "mine", "recipe": "paper-actions", "points": points, "fixed": {**small, "epochs": 3, **fixed}}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(study))
    result = invoke("study", file, "--data", clips, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    return read_cells(tmp_path / "out", study_named(str(file), "full"))


def test_the_three_entropies_give_one_answer(clips: Path, tmp_path: Path) -> None:
    """On one-hot labels they are one function: what a study finds between them is the noise of a single run."""
    names = ("sparse_categorical_cross_entropy", "categorical_cross_entropy", "kl_divergence", "categorical_focal")
    points = [{"head": "probabilities", "loss": name} for name in names]
    *entropies, focal = run_study(tmp_path, clips, *points)
    for figure in ("final_loss", "own_loss", "loss", "accuracy"):
        assert [cell[figure] for cell in entropies] == pytest.approx([entropies[0][figure]] * 3, rel=1e-4), figure
    assert abs(entropies[0]["loss"] - focal["loss"]) > 1e-3
    assert len(list((tmp_path / "out" / "features").iterdir())) == 1


@pytest.mark.parametrize("head", ["locations", "probabilities"])
def test_a_cell_is_judged_on_features_as_its_bundle_would_be(clips: Path, tmp_path: Path, head: str) -> None:
    (cell,) = run_study(tmp_path, clips, {"head": head}, learning_rate=0.1)
    flags = [f"{name}={value}" for name, value in {**cell["fixed"], "head": head}.items()]
    arguments = [part for flag in flags for part in ("--set", flag)]
    assert invoke("train", "paper-actions", "--data", clips, "--out", tmp_path / "run", *arguments).exit_code == 0
    assert not (tmp_path / "run" / "features").exists()  # only a run that goes on needs them
    metrics = read_bundle(tmp_path / "run" / "bundle", ACTION).metrics
    for figure in ("confusion", "split_sha256", "protocol", "num_files"):
        assert cell[figure] == metrics[figure]
    assert cell["loss"] == pytest.approx(metrics["loss"], rel=1e-2)  # the bundle's weights are in half precision


def test_features_are_computed_anew_for_other_clips_and_other_networks(clips: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        ACTIONS_PAPER, backbone="tf_efficientnet_lite0", initial_weights="none", size_px=32, num_frames=2
    )
    store, cpu = tmp_path / "features", torch.device("cpu")
    paths = sorted(clips.rglob("*.mp4"))[:3]
    first = head_inputs(recipe, paths, cpu, store)
    assert torch.equal(first, head_inputs(recipe, paths, cpu))
    for changed in ({"activation": "mish"}, {"num_frames": 3}, {"head": "probabilities"}, {"seed": 1}):
        other = head_inputs(dataclasses.replace(recipe, **changed), paths, cpu, store)
        assert other.shape != first.shape or not torch.equal(other, first), changed
    swapped = tmp_path / paths[0].name
    swapped.write_bytes(paths[2].read_bytes())
    assert torch.equal(head_inputs(recipe, [swapped, *paths[1:]], cpu, store)[0], first[2])
    assert len(list(store.iterdir())) == 6


def test_the_activation_study_holds_the_papers_rows() -> None:
    points = ACTIVATIONS_LOSSES_HMDB51.cells()[:10]
    reported = [published(ACTIVATIONS_LOSSES_HMDB51.name, point)["accuracy"] for point in points]
    assert reported == pytest.approx([0.95, 0.91, 0.87, 0.31, 0.63, 0.89, 0.79, 0.88, 0.85, 0.86])
    assert published(ACTIVATIONS_LOSSES.name, ACTIVATIONS_LOSSES.cells()[0]) == {}  # ReLU6 is not the paper's
    recipe = ACTIVATIONS_LOSSES_HMDB51.cell_recipe(0)
    assert (recipe.backbone, recipe.batch_size, recipe.epochs, recipe.learning_rate) == ("efficientnet_b0", 0, 15, 1e-3)


def test_the_frame_network_learns_where_it_has_a_rate(clips: Path, tmp_path: Path) -> None:
    """What is learnt is written, and judged as it is served."""
    flags = ("backbone=tf_efficientnet_lite0", "grouping=ranges", "warmup_epochs=0", "frames_learning_rate=0.01")
    arguments = [part for flag in flags for part in ("--set", flag)]
    out = tmp_path / "run"
    result = invoke("train", "actions", "--data", clips, "--out", out, *FLAGS, *arguments)
    assert result.exit_code == 0, result.output
    bundle = read_bundle(out / "bundle", ACTION)
    assert invoke("evaluate", "--data", clips, "--bundle", out / "bundle", "--json", tmp_path / "out").exit_code == 0
    assert json.loads((tmp_path / "out").read_text())["confusion"] == bundle.metrics["confusion"]
    start = start_network(recipe_from_json(ActionRecipe, bundle.recipe)).frames
    learnt = load_network(out / "bundle", bundle, ACTION).frames
    pairs = zip(start.parameters(), learnt.parameters(), strict=True)
    changed = [not torch.equal(one.half(), two.half()) for one, two in pairs]
    assert sum(changed) > 0.9 * len(changed)


def test_a_mirrored_clip_is_mirrored_in_all_its_frames(clips: Path) -> None:
    changes = {"backbone": "tf_efficientnet_lite0", "initial_weights": "none", "size_px": 32, "num_frames": 2}
    recipe = dataclasses.replace(ACTIONS, **changes, grouping="none", flip=0.5, batch_size=1)
    files = read_videos(clips, Grouping.NONE).chosen(np.arange(0, 20, 4))
    task = NetworkTask(files, parts_of(files, dataclasses.replace(recipe, folds=2)), recipe, torch.device("cpu"))
    plain = recipe.preprocess.normalise(task.pixels.flatten(0, 1)).view(task.pixels.shape)
    generator = torch.Generator().manual_seed(0)
    given = [task.batch_inputs(np.arange(5), generator) for _ in range(4)]
    seen = [
        (torch.equal(clip, before), torch.equal(clip, before.flip(-1)))
        for batch in given
        for clip, before in zip(batch, plain, strict=True)
    ]
    assert set(seen) == {(True, False), (False, True)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames_learning_rate": -1.0}, "frames_learning_rate: expected 0, or more with a backbone .*, got -1.0"),
        ({"flip": 0.5}, "flip: expected 0, or more with a frames_learning_rate, and at most 1, got 0.5"),
        ({"loss": "mean"}, "loss: expected one of .*, got 'mean'"),
        (
            {"loss": "kl_divergence", "label_smoothing": 0.1},
            "label_smoothing: expected 0, or more with cross_entropy",
        ),
        ({"official_split": 4}, r"official_split: expected one of \[0, 1, 2, 3\], got 4"),
        (
            {"policy": "uniform", "rate_hz": 5.0},
            "rate_hz: expected 0, or more with a policy other than",
        ),
        ({"policy": "dense"}, r"policy: expected one of \['middle', 'uniform'\], got 'dense'"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        dataclasses.replace(ACTIONS_PAPER, **changes)
