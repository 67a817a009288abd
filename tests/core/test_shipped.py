"""The bundles that ship: whole, small, and under the names and labels that others rely on."""

from pathlib import Path

import pytest

import reid
from reid.predictors import ActionRecognizer, Embedder, ImageClassifier

FOLDER = Path(reid.__file__).parent / "bundles"
MIB = 2**20


def test_every_bundle_that_ships_is_known_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"default", "fights", "hand-signs", "sunglasses"}


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


def test_the_embedding_that_is_used_when_none_is_named() -> None:
    embedder = Embedder.load(None, "cpu")
    assert embedder.dimension <= 512
    assert embedder.bundle.calibration is not None
    assert sum(path.stat().st_size for path in (FOLDER / "default").iterdir()) <= 25 * MIB


@pytest.mark.parametrize("name", ["default", "fights", "hand-signs", "sunglasses"])
def test_its_card_names_its_id_and_terms(name: str) -> None:
    card = (FOLDER / name / "card.md").read_text()
    bundle = (
        {"default": Embedder, "fights": ActionRecognizer}.get(name, ImageClassifier).load(FOLDER / name, "cpu").bundle
    )
    assert bundle.id in card
    assert bundle.licence.split(";")[0][:40] in " ".join(card.split())
