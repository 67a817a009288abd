"""What a frozen frame network sees in clips, computed once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from reid.clips import Clip, ClipDecoder
from reid.clips.preprocess import ClipPreprocess, windows
from reid.errors import ClipError, DatasetError
from reid.networks.action import ActionNetwork
from reid.predictors.frame_vectors import FRAMES_AT_ONCE, FrameVectors, pixels_of
from reid.threads import available_processors
from trainer.progress import mapped


def head_inputs(
    network: ActionNetwork, clips: Sequence[Path], preprocess: ClipPreprocess, device: torch.device
) -> torch.Tensor:
    """What the head needs of each clip, (N, …): mean statistics where they have no weights, else maps in float16.

    Raises :class:`DatasetError` that names a clip which does not decode.
    """
    frames = FrameVectors(network, preprocess, device)
    learns = network.arguments.head == "probabilities"

    def inputs(clip: Clip) -> torch.Tensor:
        (rows,) = windows(clip)
        if learns:
            return torch.cat(
                [frames.maps(part).half().cpu() for part in torch.split(pixels_of(clip)[rows], FRAMES_AT_ONCE)]
            )
        return network.head.statistics(frames.of(pixels_of(clip))[rows][None])[0].cpu()

    decoder = preprocess.decoder()
    try:
        return torch.stack(mapped(inputs, _decoded(decoder, clips), len(clips), "the frames' features"))
    finally:
        decoder.close()


def _decoded(decoder: ClipDecoder, clips: Sequence[Path]) -> Iterator[Clip]:
    """Clips in order, decoded by all processors while the network works."""

    def decode(path: Path) -> Clip:
        try:
            return decoder.decode(path.read_bytes())
        except (OSError, ClipError) as error:
            raise DatasetError(f"{path}: {error}") from error

    with ThreadPoolExecutor(available_processors()) as pool:
        yield from pool.map(decode, clips)
