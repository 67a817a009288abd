"""A ResNet-50 bundle of random weights: as fast as a trained one."""

from pathlib import Path

from reid.bundle import Bundle, write_bundle
from reid.kinds import EMBEDDING
from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork
from reid.transforms import PreprocessConfig

HEIGHT_PX, WIDTH_PX = 256, 128


def untrained_resnet50(folder: Path) -> Path:
    """Write the bundle, and return its folder."""
    arguments = EmbeddingArguments("resnet50", 2, "linear", 512)
    description = Bundle(
        name="resnet50",
        network=arguments,
        preprocess=PreprocessConfig(height_px=HEIGHT_PX, width_px=WIDTH_PX, flip_average=False),
        licence="none: untrained",
        recipe={},
        data_sha256="",
        code_commit="",
        metrics={},
        calibration=None,
        kind=EMBEDDING.name,
    )
    write_bundle(folder, EmbeddingNetwork(arguments), description, card="")
    return folder
