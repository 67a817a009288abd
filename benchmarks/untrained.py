"""A ResNet-50 bundle of random weights: as fast as a trained one."""

from pathlib import Path

from reid.kinds import EMBEDDING
from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork
from reid.transforms import PreprocessConfig
from tests.untrained import write_untrained

HEIGHT_PX, WIDTH_PX = 256, 128


def untrained_resnet50(folder: Path) -> Path:
    """Write the bundle, and return its folder."""
    arguments = EmbeddingArguments("resnet50", 2, "linear", 512)
    preprocess = PreprocessConfig(height_px=HEIGHT_PX, width_px=WIDTH_PX, flip_average=False)
    return write_untrained(folder, EMBEDDING.name, arguments, EmbeddingNetwork(arguments), preprocess)
