"""Work done ahead of whoever asks for it, by all processors."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from reid.threads import available_processors

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(function: Callable[[_Item], _Result], items: Sequence[_Item], each: int) -> Iterator[_Result]:
    """`function` of the items in order, `each` for each processor at a time: memory holds so many, however slowly
    they are taken. What `function` raises is raised where its result would have come.
    """
    processors = available_processors()
    step = each * processors
    with ThreadPoolExecutor(processors) as pool:
        for start in range(0, len(items), step):
            yield from pool.map(function, items[start : start + step])
