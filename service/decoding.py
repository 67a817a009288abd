"""Threads that decode and resize: as many as there are processors, so that they never outnumber them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from reid.threads import available_processors

T = TypeVar("T")
A = TypeVar("A")


class Decoders:
    """Work on images off the event loop. Pillow and NumPy let go of the interpreter's lock while they work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(available_processors(), thread_name_prefix="decode")
        self._free = asyncio.Semaphore(available_processors())

    async def run(self, work: Callable[[A], T], images: A, turn_s: float | None = None) -> T:
        """`work(images)`, on one of the threads; raises TimeoutError where none is free within `turn_s`."""
        async with asyncio.timeout(turn_s):
            await self._free.acquire()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, images)
        finally:
            self._free.release()

    def close(self) -> None:
        """Finish what runs."""
        self._threads.shutdown()
