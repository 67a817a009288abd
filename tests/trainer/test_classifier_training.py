import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reid.bundle import read_bundle
from reid.datasets.classes import read_classes
from reid.errors import BundleError, DatasetError, RecipeError
from reid.kinds import CLASSIFIER
from reid.predictors import Embedder, ImageClassifier
from tests.trainer.test_cli import invoke
from trainer.distributed import World
from trainer.folds import parts_of
from trainer.loop import run
from trainer.pixels import read_crop
from trainer.recipes.classifiers import SUNGLASSES, ClassifierRecipe
from trainer.tasks.classifiers import ClassifierTask

CPU, ALONE = torch.device("cpu"), World(0, 1)
FLAGS = [part for flag in ("epochs=8", "learning_rate=0.01", "dropout=0") for part in ("--set", flag)]


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces of ten people: a dark bar across the eyes, or none, on a face of the person's own brightness."""
    root = tmp_path_factory.mktemp("faces")
    generator = np.random.default_rng(0)
    for person in range(10):
        folder = root / f"p{person}"
        folder.mkdir()
        for eyes in ("open", "sunglasses"):
            for number, mood in enumerate(("angry", "happy", "sad", "neutral")):
                face = np.full((30, 32), 120.0 + 8 * person)
                if eyes == "sunglasses":
                    face[9 + number % 3 : 14 + number % 3, 6:26] = 20
                face += generator.normal(0, 8, face.shape)
                image = Image.fromarray(face.clip(0, 255).astype(np.uint8))
                image.save(folder / f"p{person}_left_{mood}_{eyes}_4.pgm")
    return root


@pytest.fixture(scope="module")
def trained(shades: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "shades"
    result = invoke("train", "sunglasses", "--data", shades, "--out", out, "--licence", "CC0", *FLAGS)
    assert result.exit_code == 0, result.output
    return out


def test_training_ends_in_a_bundle_with_a_card_and_a_confusion_matrix(trained: Path, shades: Path) -> None:
    bundle = read_bundle(trained / "bundle", CLASSIFIER)
    assert (bundle.kind, bundle.labels, bundle.preprocess.channels) == ("classifier", ("open", "sunglasses"), 1)
    assert bundle.metrics["accuracy"] > 0.8
    assert bundle.metrics["protocol"] == "fold 1 of 5, no group on both sides"
    assert bundle.metrics["domain"] == shades.name
    card = (trained / "bundle" / "card.md").read_text()
    assert bundle.id in card
    assert f"{bundle.metrics['accuracy']:.2%}" in card
    with Image.open(trained / "confusion.png") as picture:
        assert picture.size[0] > 200


def test_what_is_evaluated_is_what_is_served(trained: Path, shades: Path, tmp_path: Path) -> None:
    """The test part alone, through the predictor that the service uses."""
    out = tmp_path / "figures.json"
    result = invoke("evaluate", "--data", shades, "--bundle", trained / "bundle", "--json", out)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    classifier = ImageClassifier.load(trained / "bundle")
    images = read_classes(shades)
    test = images.chosen(parts_of(images, _recipe()).test)
    best = [classifier.predict(read_crop(path))[0].label for path in test.paths]
    right = [label == test.label_names[truth] for label, truth in zip(best, test.labels, strict=True)]
    assert figures["accuracy"] == pytest.approx(np.mean(right))
    assert figures["num_files"] == len(right) == 16
    assert figures["bundle_id"] == classifier.bundle.id


def test_other_data_is_judged_whole_and_unknown_labels_are_refused(trained: Path, shades: Path, tmp_path: Path) -> None:
    table = shades / "some.csv"
    paths = sorted(shades.glob("p[01]/*.pgm"))
    rows = [f"{path.relative_to(shades)},{path.stem.split('_')[3]}" for path in paths]
    table.write_text("\n".join(["path,label", *rows]))
    result = invoke("evaluate", "--data", table, "--bundle", trained / "bundle")
    assert result.exit_code == 0, result.output
    assert "every file, for they are not those of the bundle's own split" in " ".join(result.output.split())
    table.write_text("\n".join(["path,label", *rows, f"{paths[0].relative_to(shades)},monocle"]))
    result = invoke("evaluate", "--data", table, "--bundle", trained / "bundle")
    assert result.exit_code == 2
    assert "expected labels that the bundle knows, ['open', 'sunglasses'], got also ['monocle']" in result.stderr
    result = invoke("evaluate", "--data", shades, "--bundle", trained / "bundle", "--report", tmp_path / "r")
    assert result.exit_code == 2
    assert "expected an embedding bundle" in result.stderr
    table.unlink()


def test_a_prediction_is_of_any_image_and_sums_to_one(trained: Path) -> None:
    classifier = ImageClassifier.load(trained / "bundle")
    answer = classifier.predict(Image.new("RGBA", (640, 480), "red"))
    assert {score.label for score in answer} == {"open", "sunglasses"}
    assert sum(score.score for score in answer) == pytest.approx(1, abs=1e-5)
    assert answer[0].score >= answer[1].score


def test_a_bundle_of_another_kind_is_refused(trained: Path, tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match="expected kind 'classifier', got 'embedding'"):
        ImageClassifier.load(tiny_bundle)
    with pytest.raises(BundleError, match="expected kind 'embedding', got 'classifier'"):
        Embedder.load(trained / "bundle")


def _recipe(**changes: object) -> ClassifierRecipe:
    return dataclasses.replace(SUNGLASSES, **{"epochs": 8, "learning_rate": 0.01, "dropout": 0.0} | changes)  # type: ignore[arg-type]


def _task(shades: Path, recipe: ClassifierRecipe) -> ClassifierTask:
    images = read_classes(shades)
    return ClassifierTask(images, parts_of(images, recipe), recipe, CPU)


def test_a_run_out_of_patience_stops_and_keeps_its_best_weights(shades: Path, tmp_path: Path) -> None:
    recipe = _recipe(patience=2, validation_folds=1, epochs=40, learning_rate=0.05, schedule="step")
    task = _task(shades, recipe)
    outcome = run(task, recipe, tmp_path / "run", ALONE, resume=False)
    losses = [json.loads(line)["validation_loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert outcome.verdict == "finished"
    assert len(losses) < 40
    assert losses.index(min(losses)) == len(losses) - 3
    assert task.validate(task.model, 0)["validation_loss"] == pytest.approx(min(losses), abs=1e-4)
    again = _task(shades, recipe)
    resumed = run(again, recipe, tmp_path / "run", ALONE, resume=True)
    assert resumed.epochs == outcome.epochs  # a run that has stopped does not go on
    assert again.validate(again.model, 0)["validation_loss"] == pytest.approx(min(losses), abs=1e-4)


def test_batches_that_outgrow_the_images_are_refused_before_the_first(shades: Path, tmp_path: Path) -> None:
    recipe = _recipe(batch_growth=((1, 100),), epochs=2)
    with pytest.raises(RecipeError, match="expected at least one whole batch in each epoch, got none in epoch 2"):
        run(_task(shades, recipe), recipe, tmp_path / "run", ALONE, resume=False)
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_too_few_images_for_a_batch_are_counted(shades: Path) -> None:
    with pytest.raises(DatasetError, match="expected at least a batch of 100 images, got 64"):
        _task(shades, _recipe(batch_size=100))
