"""What every route asks for: the core, and on whose behalf."""

from typing import Annotated

from fastapi import Depends, Request

from service.core import Core
from service.cursors import Cursors
from service.gallery.gallery import Gallery
from service.gallery.records import Actor


def _core(request: Request) -> Core:
    core = request.app.state.core
    assert isinstance(core, Core)
    return core


def _gallery(request: Request) -> Gallery:
    return _core(request).gallery


def _cursors(request: Request) -> Cursors:
    return Cursors(_core(request).gallery.seal_key)


def _actor(request: Request) -> Actor:
    actor = request.state.actor
    assert isinstance(actor, Actor)
    return actor


CoreOf = Annotated[Core, Depends(_core)]
GalleryOf = Annotated[Gallery, Depends(_gallery)]
CursorsOf = Annotated[Cursors, Depends(_cursors)]
ActorOf = Annotated[Actor, Depends(_actor)]
