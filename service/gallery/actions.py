"""Actions: what cameras were recognised to show, kept as news."""

from collections.abc import Sequence

from service.gallery.errors import ForbiddenError
from service.gallery.ledger import Effect, Ledger
from service.gallery.records import ActionSeen, Actor, Once, Written
from service.gallery.sqlite import actions
from service.gallery.sqlite.writing import Writing


class ActionNews(Ledger):
    """What a gallery keeps of recognised actions: the last ten thousand, for events and webhooks."""

    def add_actions(
        self, actor: Actor, seen: Sequence[ActionSeen], once: Once[Sequence[ActionSeen]] | None = None
    ) -> Written[Sequence[ActionSeen]]:
        """Keep what was recognised, all of one change. Raises ForbiddenError for a camera not of this actor's."""
        for one in seen:
            check_camera(actor, one.camera_id)

        def operation(writing: Writing) -> Effect[Sequence[ActionSeen]]:
            actions.add(writing, seen, writing.change())
            return Effect(seen, count=len(seen))

        return self._write(actor, "recognise", operation, once)


def check_camera(actor: Actor, camera_id: str | None) -> None:
    """Raise ForbiddenError for a camera that `actor` is not allowed."""
    if actor.cameras is not None and camera_id not in actor.cameras:
        raise ForbiddenError(f"expected a camera_id that this key is for, got {camera_id!r}")
