"""A bundle on a device. What is evaluated is what is served, because trainer and service both use these."""

from reid.predictors.action import ActionRecognizer, ActionSpan
from reid.predictors.classifier import ImageClassifier
from reid.predictors.device import resolve_device, served_on
from reid.predictors.embedder import Embedder, embed_tensor
from reid.predictors.label_score import LabelScore

__all__ = [
    "ActionRecognizer",
    "ActionSpan",
    "Embedder",
    "ImageClassifier",
    "LabelScore",
    "embed_tensor",
    "resolve_device",
    "served_on",
]
