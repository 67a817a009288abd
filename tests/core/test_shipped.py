"""The bundles that ship: whole, small, and under the names and labels that others rely on."""

from pathlib import Path

import pytest

import reid
from reid.predictors import ActionRecognizer, Embedder, ImageClassifier

FOLDER = Path(reid.__file__).parent / "bundles"
MIB = 2**20


def test_every_bundle_that_ships_is_known_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"default", "fights", "hand-signs", "resnet50", "sunglasses"}


@pytest.mark.parametrize(
    ("name", "loaded", "labels", "most_bytes"),
    [
        ("fights", ActionRecognizer, ("fight", "noFight"), 25 * MIB),
        ("hand-signs", ImageClassifier, tuple("0123456789"), 25 * MIB),
        ("sunglasses", ImageClassifier, ("open", "sunglasses"), MIB),
    ],
)
def test_what_tells_labels_apart(
    name: str, loaded: type[ActionRecognizer] | type[ImageClassifier], labels: tuple[str, ...], most_bytes: int
) -> None:
    assert tuple(loaded.load(FOLDER / name, "cpu").bundle.labels) == labels
    assert sum(path.stat().st_size for path in (FOLDER / name).iterdir()) <= most_bytes


@pytest.mark.parametrize(
    ("name", "backbone", "most_bytes"), [("default", "resnet18", 25 * MIB), ("resnet50", "resnet50", 50_000_000)]
)
def test_what_tells_people_apart(name: str, backbone: str, most_bytes: int) -> None:
    embedder = Embedder.load(name, "cpu")
    assert embedder.bundle.network.backbone == backbone
    assert embedder.dimension <= 512
    assert embedder.bundle.calibration is not None
    assert sum(path.stat().st_size for path in (FOLDER / name).iterdir()) <= most_bytes


def test_the_embedding_that_is_used_when_none_is_named() -> None:
    assert Embedder.load(None, "cpu").bundle_id == Embedder.load("default", "cpu").bundle_id


@pytest.mark.parametrize("name", ["default", "fights", "hand-signs", "resnet50", "sunglasses"])
def test_its_card_names_its_id_and_terms(name: str) -> None:
    card = (FOLDER / name / "card.md").read_text()
    kinds = {"default": Embedder, "resnet50": Embedder, "fights": ActionRecognizer}
    bundle = kinds.get(name, ImageClassifier).load(FOLDER / name, "cpu").bundle
    assert bundle.id in card
    assert bundle.licence.split(";")[0][:40] in " ".join(card.split())
