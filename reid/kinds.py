"""The kinds of model that a bundle can hold: what shapes the network, what prepares its input, and the network."""

from reid.bundle import Bundle, Kind
from reid.clips.preprocess import ClipPreprocess
from reid.networks.action import ActionArguments, ActionNetwork
from reid.networks.classifier import ClassifierArguments, ClassifierNetwork
from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork
from reid.transforms import PreprocessConfig

EmbeddingBundle = Bundle[EmbeddingArguments, PreprocessConfig]
EMBEDDING = Kind("embedding", EmbeddingArguments, PreprocessConfig, EmbeddingNetwork)

ClassifierBundle = Bundle[ClassifierArguments, PreprocessConfig]
CLASSIFIER = Kind("classifier", ClassifierArguments, PreprocessConfig, ClassifierNetwork)

ActionBundle = Bundle[ActionArguments, ClipPreprocess]
ACTION = Kind("action", ActionArguments, ClipPreprocess, ActionNetwork)
