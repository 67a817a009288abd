"""Work on many things with a bar on the terminal."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from rich.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def mapped(function: Callable[[Item], Result], items: Iterable[Item], total: int, description: str) -> list[Result]:
    """`function` of every item, in order.

    The bar lives exactly as long as this call. With `rich.progress.track` an error would leave a generator behind that
    holds it; the next bar then waits for a lock that only the garbage collector would have released.
    """
    results = []
    with Progress() as bar:
        row = bar.add_task(description, total=total)
        for item in items:
            results.append(function(item))
            bar.advance(row)
    return results
