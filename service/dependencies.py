"""What every route asks for: the core, and on whose behalf."""

from typing import Annotated

from fastapi import Depends, Request

from service.admission import Ticket
from service.core import Core
from service.gallery.gallery import Gallery
from service.gallery.records import Actor
from service.gallery.sqlite.jobs import Viewer
from service.pages import Lists


def _core(request: Request) -> Core:
    core = request.app.state.core
    assert isinstance(core, Core)
    return core


def _gallery(request: Request) -> Gallery:
    return _core(request).gallery


def _actor(request: Request) -> Actor:
    actor = request.state.actor
    assert isinstance(actor, Actor)
    return actor


def _lists(request: Request) -> Lists:
    return Lists(_gallery(request), _actor(request))


def _viewer(request: Request) -> Viewer:
    return Viewer(request.state.scopes, _actor(request).cameras)


def _ticket(request: Request) -> Ticket:
    ticket = request.state.ticket
    assert isinstance(ticket, Ticket)
    return ticket


CoreOf = Annotated[Core, Depends(_core)]
GalleryOf = Annotated[Gallery, Depends(_gallery)]
ListsOf = Annotated[Lists, Depends(_lists)]
ActorOf = Annotated[Actor, Depends(_actor)]
TicketOf = Annotated[Ticket, Depends(_ticket)]
ViewerOf = Annotated[Viewer, Depends(_viewer)]
