"""Lists, a page at a time: every list route reads its page, and says where the next one begins, in the same way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.cursors import Cursors
from service.fields import PageAnswer, PageQuery
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Page
from service.gallery.sqlite.reading import Reading

T = TypeVar("T")


@dataclass(frozen=True)
class Listed(Generic[T]):
    """A page's records, and what it says beside them."""

    records: list[T]
    page: PageAnswer


@dataclass(frozen=True)
class Lists:
    """The lists of a gallery, as `actor` may see them."""

    gallery: Gallery
    actor: Actor

    def read(self, kind: str, query: PageQuery, find: Callable[[Reading, int | None], Page[T]]) -> Listed[T]:
        """The page that `query` asks for; `find` is given the row that the page before ended with, None for the first.

        Raises CursorError for a cursor of another list than `kind`, ChangeNotReachedError.
        """
        cursors = Cursors(self.gallery.seal_key)
        row = cursors.decode(kind, query.cursor)
        self.gallery.wait_for(query.min_change)
        with self.gallery.reading(self.actor) as reading:
            found = find(reading, row)
            return Listed(
                found.records, PageAnswer(next_cursor=cursors.encode(kind, found.next_row), change=reading.change())
            )
