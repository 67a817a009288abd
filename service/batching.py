"""The model behind a queue: one request's images at a time, off the event loop."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid.predictors import Embedder
from service.problems import QueueFullError

MOST_WAITING = 64


class ModelQueue:
    """Runs an embedder on a thread of its own, which torch then spreads over the processors.

    Raises QueueFullError rather than let a request wait behind MOST_WAITING others.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for the model or are being embedded."""
        return self._waiting

    async def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """RGB images → (N, D) float32 rows of unit length."""
        if self._waiting >= MOST_WAITING:
            raise QueueFullError(f"expected at most {MOST_WAITING} requests to wait for the model, got one more")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self.embedder.embed, images)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what runs."""
        self._thread.shutdown()
