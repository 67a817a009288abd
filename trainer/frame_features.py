"""What a frozen frame network sees in clips, computed once; kept in a folder where there is one."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from reid.clips import Clip, ClipDecoder
from reid.clips.preprocess import windows
from reid.errors import ClipError, DatasetError
from reid.networks.action import ActionNetwork
from reid.predictors.frame_vectors import FRAMES_AT_ONCE, FrameVectors, pixels_of
from trainer.ahead import ahead
from trainer.bundling import data_sha256
from trainer.computed_once import computed_once
from trainer.initial_weights import load_frame_weights
from trainer.progress import mapped
from trainer.recipes.actions import ActionRecipe


def start_network(recipe: ActionRecipe, num_labels: int = 2) -> ActionNetwork:
    """The network before it learns: the frames' part from the recipe's weights, the rest from its seed."""
    torch.manual_seed(recipe.seed)
    network = ActionNetwork(recipe.network(num_labels))
    load_frame_weights(network.frames, recipe.backbone, recipe.initial_weights)
    return network


def head_inputs(
    recipe: ActionRecipe, clips: Sequence[Path], device: torch.device, store: Path | None = None
) -> torch.Tensor:
    """What the head needs of each clip, (N, …): mean statistics where they have no weights, else maps in float16.

    With a folder `store`, read from there if they were computed before, of the same clips in the same way; whoever
    computes them keeps them. Raises :class:`DatasetError` that names a clip which does not decode.
    """
    return computed_once(store, lambda: _depends_on(recipe, tuple(clips)), lambda: _computed(recipe, clips, device))


def _depends_on(recipe: ActionRecipe, clips: tuple[Path, ...]) -> dict[str, object]:
    weights = Path(recipe.initial_weights)
    return {
        "network": [recipe.backbone, recipe.activation, recipe.head],
        "initial_weights": data_sha256([weights]) if weights.is_file() else recipe.initial_weights,
        "seed": recipe.seed if recipe.initial_weights == "none" else None,
        "preprocess": dataclasses.asdict(recipe.preprocess),
        "clips": _digest(clips),
    }


@functools.lru_cache(maxsize=1)  # a study asks for each of its cells
def _digest(clips: tuple[Path, ...]) -> str:
    return data_sha256(clips)


def _computed(recipe: ActionRecipe, clips: Sequence[Path], device: torch.device) -> torch.Tensor:
    network = start_network(recipe)
    frames = FrameVectors(network, recipe.preprocess, device)

    def inputs(clip: Clip) -> torch.Tensor:
        (rows,) = windows(clip)
        if recipe.learns_on_maps:
            return torch.cat(
                [frames.maps(part).half().cpu() for part in torch.split(pixels_of(clip)[rows], FRAMES_AT_ONCE)]
            )
        return network.head.statistics(frames.of(pixels_of(clip))[rows][None])[0].cpu()

    decoder = recipe.preprocess.decoder()
    try:
        return torch.stack(mapped(inputs, decoded(decoder, clips), len(clips), "the frames' features"))
    finally:
        decoder.close()


def decoded(decoder: ClipDecoder, clips: Sequence[Path]) -> Iterator[Clip]:
    """Clips in order, a few decoded ahead by all processors while the network works.

    Raises :class:`DatasetError` that names a clip which does not decode.
    """

    def decode(path: Path) -> Clip:
        try:
            return decoder.decode(path.read_bytes())
        except (OSError, ClipError) as error:
            raise DatasetError(f"{path}: {error}") from error

    return ahead(decode, clips, each=4)  # frames are large, and a network may be slower than decoding
