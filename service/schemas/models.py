"""What is said of bundles, embeddings and calibrations."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from service.fields import MAX_IMAGES, Base64, Strict


class EmbeddingsIn(Strict):
    """Images to embed, as JSON."""

    images: Annotated[list[Base64], Field(min_length=1, max_length=MAX_IMAGES)]


class EmbeddingsAnswer(BaseModel):
    """Unit vectors, in the order of the images."""

    embeddings: list[list[float]]
    dimension: int
    bundle_id: str


class CalibrationOut(BaseModel):
    """The calibration in force."""

    domain: str
    source: Literal["bundle"]
    bundle_id: str


class CalibrationAnswer(CalibrationOut):
    """The calibration in force, whole."""

    scores: list[float]
    false_match_rates: list[float]
    true_match_rates: list[float]
    num_impostor_pairs: int
    num_genuine_pairs: int
    change: int


class ModelOut(BaseModel):
    """A bundle."""

    bundle_id: str
    name: str
    kind: str
    active: bool
    embedding_size: int
    licence: str
    metrics: dict[str, Any]
    sightings: int = Field(description="sightings that it embedded and a search looks at")


class ModelsAnswer(BaseModel):
    """The bundles in force."""

    models: list[ModelOut]
    change: int
