"""Clips: from their bytes to what a network keeps of them, and through the endpoint of a real service process."""

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from reid import threads

threads.configure()

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.harness import Row, compare, main
from benchmarks.service import run_load
from reid.clips import ClipLimits, Sampling
from reid.clips.preprocess import windows
from reid.clips.sampling import Policy
from reid.networks.action import frame_maps
from reid.predictors import ActionRecognizer
from reid.predictors.device import runs_on_openvino
from reid.predictors.frame_vectors import FrameVectors, pixels_of
from reid.transforms import IMAGENET_MEAN, IMAGENET_STD
from service.child import running_service
from trainer.frame_features import decoded, start_network
from trainer.recipes.actions import ACTIONS_PAPER, ActionRecipe
from trainer.recipes.catalogue import recipe_with

_CLIPS, _REQUESTS, _CLIENTS = 4, 24, 8
_LONG_S, _SHORT_S = 600, 6
_OPENCV = "opencv-python-headless==4.13.0.92"
_TYPE = "multipart/form-data; boundary=b"


def rows() -> Iterator[Row]:
    """The action paper's frames, 40 of 224 × 224, by a network of random weights; then the shipped `fights`."""
    recipe = recipe_with(ACTIONS_PAPER, {"backbone": "tf_efficientnet_lite0", "initial_weights": "none"})
    with tempfile.TemporaryDirectory() as name, _opencv() as cv2:
        folder = Path(name)
        clips = [_clip(folder / f"{number}.mp4", number) for number in range(_CLIPS)]
        network = start_network(recipe)
        frames = FrameVectors(network, recipe.preprocess, torch.device("cpu"), openvino=runs_on_openvino("auto"))
        plain = start_network(recipe).frames.eval()
        with closing(recipe.preprocess.decoder()) as decoder:

            def ours() -> list[torch.Tensor]:
                seen = decoded(decoder, clips)
                return [network.head.statistics(frames.of(pixels_of(clip))[windows(clip)]) for clip in seen]

            yield compare(
                "clips decode to vector vs cv2 fp32 loop",
                ours,
                lambda: [_plain_vector(cv2, plain, recipe, path) for path in clips],
                peer_name="cv2.VideoCapture and the network in fp32, one frame at a time",
                pairs=5,
                per=_CLIPS,
            )
        yield _endpoint(folder, clips[0])
        yield _growth(folder)


def _endpoint(folder: Path, clip: Path) -> Row:
    """Clients who ask again as soon as they are answered, against the same work in one process."""
    body = folder / "body"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body.write_bytes(part + clip.read_bytes() + b"\r\n--b--\r\n")
    settings = {"REID_AUTH": "off", "REID_DEADLINE_S": "60"}  # nobody is to be sent away
    with (
        closing(ActionRecognizer.load("fights")) as recognizer,
        closing(recognizer.bundle.preprocess.decoder()) as decoder,
        running_service(folder / "home", folder / "log", settings=settings) as service,
    ):

        def served() -> None:
            done = run_load(service.url, "/v1/actions", body, _TYPE, "--clients", _CLIENTS, "--requests", _REQUESTS)
            assert done["statuses"] == {"200": _REQUESTS}, done["statuses"]

        def bare() -> None:
            for one in decoded(decoder, [clip] * _REQUESTS):
                recognizer.scores(one)

        return compare(
            "clips through the endpoint vs decode and bare model",
            served,
            bare,
            peer_name="the same decoder on all processors and the model, in process",
            pairs=5,
            per=_REQUESTS,
        )


def _growth(folder: Path) -> Row:
    """Window after window, of a long clip and of as many seconds in short ones."""
    long, short = (
        _clip(folder / f"{seconds}.mp4", 0, frames=10 * seconds, fps=10).read_bytes() for seconds in (_LONG_S, _SHORT_S)
    )
    with closing(ActionRecognizer.load("fights", limits=ClipLimits(max_seconds=300))) as recognizer:
        own = recognizer.bundle.preprocess
        dense = Sampling(Policy.DENSE, own.num_frames, own.rate_hz)

        def recognised(clip: bytes, times: int = 1) -> None:
            for _ in range(times):
                recognizer.scores(recognizer.decode(clip, dense))

        return compare(
            f"clips a second of {_LONG_S} s vs of {_SHORT_S} s",
            lambda: recognised(long),
            lambda: recognised(short, _LONG_S // _SHORT_S),
            peer_name="as many seconds in short clips, one after another",
            pairs=2,
            per=_LONG_S,
        )


def _plain_vector(cv2: Any, network: nn.Module, recipe: ActionRecipe, path: Path) -> torch.Tensor:
    """What most people write first: read, resize, normalise, run, for each of the frames from the middle."""
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    start = max(count - recipe.num_frames, 0) // 2
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    vectors = []
    for number in range(start + recipe.num_frames):
        there, frame = capture.read()
        assert there, f"expected {start + recipe.num_frames} frames, got {number}"
        if number >= start:
            image = cv2.cvtColor(_letterboxed(cv2, frame, recipe.size_px), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
            tensor = torch.from_numpy((image - mean) / std).permute(2, 0, 1).contiguous()[None]
            with torch.no_grad():
                vectors.append(frame_maps(network, tensor).mean(dim=(2, 3)))
    capture.release()
    return torch.cat(vectors).mean(dim=0)


def _letterboxed(cv2: Any, frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(frame.shape[:2])
    height, width = (round(length * scale) for length in frame.shape[:2])
    canvas = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(frame, (width, height))
    return canvas


def _clip(path: Path, seed: int, frames: int = 60, fps: int = 30) -> Path:
    """H.264, 640 × 360: a block that moves over coarse noise, again and again."""
    noise = np.random.default_rng(seed)
    ground = np.kron(noise.integers(0, 200, (18, 32, 3), dtype=np.uint8), np.ones((20, 20, 1), np.uint8))
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for number in range(frames):
            pixels = ground.copy()
            left = 8 * number % 600
            pixels[100:180, left : left + 60] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


@contextmanager
def _opencv() -> Iterator[Any]:
    """OpenCV, installed for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        subprocess.run([*pip, _OPENCV], check=True)
        sys.path.insert(0, folder)
        yield importlib.import_module("cv2")
        sys.path.remove(folder)


if __name__ == "__main__":
    main("clips", rows)
