"""What is said of bundles, embeddings and calibrations."""

from typing import Any

from pydantic import BaseModel, Field

from service.fields import BundleId, Strict


class EmbeddingsAnswer(BaseModel):
    """Unit vectors, in the order of the images."""

    embeddings: list[list[float]]
    dimension: int
    bundle_id: str


class ActivateIn(Strict):
    """Which bundle to put in force."""

    bundle_id: BundleId


class ModelOut(BaseModel):
    """A bundle on disk, or the one in force."""

    bundle_id: str
    name: str
    kind: str
    active: bool
    embedding_size: int | None = Field(description="length of its vectors, if it makes any")
    labels: list[str] = Field(description="what it tells apart, if it is a classifier")
    licence: str
    metrics: dict[str, Any]
    sightings: int = Field(description="sightings that have a vector of it: of the active one, those a search looks at")


class KeptOut(BaseModel):
    """A bundle that is not on disk any more and whose vectors are kept."""

    bundle_id: str
    sightings: int


class ModelsAnswer(BaseModel):
    """The bundle in force first, then the others on disk."""

    models: list[ModelOut]
    not_on_disk: list[KeptOut]
    before: str | None = Field(description="bundle_id of the one that was in force before: what a rollback activates")
    change: int
