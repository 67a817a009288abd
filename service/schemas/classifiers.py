"""What is said of classifiers, and what they say."""

from typing import Annotated

from pydantic import BaseModel, Field

from service.fields import MAX_IMAGES, Base64, SightingId, Strict


class ClassifierOut(BaseModel):
    """A classifier on disk."""

    name: str = Field(examples=["sunglasses"])
    bundle_id: str
    labels: list[str] = Field(examples=[["open", "sunglasses"]])


class ClassifiersAnswer(BaseModel):
    """The classifiers there are."""

    classifiers: list[ClassifierOut]


class ClassifyFields(Strict):
    """What is said of the images to classify."""

    sighting_id: SightingId | None = Field(
        default=None,
        description="this sighting's crop, if no image is sent; in any case the best label becomes an attribute of it",
    )


class ClassifyIn(ClassifyFields):
    """Images to classify, as JSON."""

    images: Annotated[list[Base64], Field(max_length=MAX_IMAGES)] = Field(default_factory=list)


class LabelOut(BaseModel):
    """A label, and the probability that the model gives it."""

    label: str = Field(examples=["sunglasses"])
    score: float = Field(examples=[0.97])


class ClassifiedOut(BaseModel):
    """One image: every label, best first; the scores sum to 1."""

    labels: list[LabelOut]


class ClassifyAnswer(BaseModel):
    """What was seen, in the order of the images."""

    results: list[ClassifiedOut]
    bundle_id: str
    change: int
