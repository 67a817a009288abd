"""A stream of frames: binary messages of JPEG files in, the scores of the last frames out as JSON, one for each frame.

Rules. Every message is answered, in order: with scores, or with what was wrong with it. A frame that cannot be used is
not taken into the window, and the stream goes on; it ends (code 1008) with the tenth such frame in a row, with a
message that is text, with a minute of silence and when its key is no longer in force, and (1009) with a message that is
too large. One frame of a stream is worked on at a time: who sends faster waits. The key travels in the header.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Annotated

import torch
from fastapi import WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field
from starlette.websockets import WebSocketDisconnect

from reid.errors import ReidError
from reid.images import decode_image
from reid.predictors import LabelScore
from reid.predictors.label_score import ranked
from service.action_news import Wanted, check_news
from service.actions import DEFAULT, ActionModel
from service.auth import admit_stream
from service.bodies import validated
from service.core import Core
from service.gallery.records import ActionSeen, Actor, Moment
from service.limits import RateLimit
from service.middleware import request_id_of
from service.problems import (
    StreamMessageError,
    UnauthorizedError,
    invalid_response,
    problem_of,
    problem_response,
)
from service.schemas.actions import (
    ActionSeenOut,
    BundleName,
    NewsFields,
    StreamErrorOut,
    StreamFrameOut,
    labels_out,
)

_LOG = logging.getLogger(__name__)
MOST_FRAME_BYTES = 4 * 2**20
FRAMES_PER_MINUTE = 60 * 60  # of one stream
MOST_BAD_FRAMES = 10  # in a row
SILENCE_S = 60.0
KEY_S = 15.0  # how soon a revoked key is noticed
_POLICY = 1008


def _listed(labels: object) -> object:
    """Several labels in one value are separated by commas."""
    return [label.strip() for label in labels.split(",")] if isinstance(labels, str) else labels


class StreamQuery(NewsFields):
    """What a stream is opened for."""

    bundle: BundleName | None = None
    labels: Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]] | None, BeforeValidator(_listed)] = (
        Field(default=None, max_length=64)
    )


async def serve_stream(socket: WebSocket) -> None:
    """Open a stream, or refuse the handshake with a problem, and answer its frames until it ends."""
    core: Core = socket.app.state.core
    socket.scope.setdefault("state", {})["request_id"] = request_id_of(socket.scope)
    try:
        actor, scopes = await admit_stream(socket)
        query = validated(StreamQuery, dict(socket.query_params), "query")
        check_news(query, actor, scopes)
        model = await run_in_threadpool(core.actions.load, query.bundle or DEFAULT)
        stream = ActionStream(core, model, actor, query)
        with core.streams.one_more():
            await socket.accept()
            await stream.run(socket)
    except RequestValidationError as error:
        await socket.send_denial_response(invalid_response(error, socket.scope))
    except ReidError as error:
        await socket.send_denial_response(problem_response(problem_of(error), str(error), socket.scope))


class ActionStream:
    """One stream: its window, and what it told last."""

    def __init__(self, core: Core, model: ActionModel, actor: Actor, query: StreamQuery) -> None:
        self._core, self._model, self._actor = core, model, actor
        self._window = model.running()
        camera_id = query.camera_id
        self._wanted = None if camera_id is None else Wanted.of(camera_id, model.bundle.id, query)
        self._told: str | None = None
        self._frame = self._bad = 0
        self._rate = RateLimit(FRAMES_PER_MINUTE)
        self._moments: deque[Moment] = deque(maxlen=self._window.length)  # when the window's frames came
        self._checked_s = time.monotonic()

    async def run(self, socket: WebSocket) -> None:
        """Answer frames until the stream ends."""
        try:
            while await self._answer(socket):
                pass
            await socket.close(_POLICY)
        except WebSocketDisconnect:
            pass
        finally:
            _LOG.info("a stream ended after %d frames", self._frame)

    async def _answer(self, socket: WebSocket) -> bool:
        """Whether the stream goes on."""
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await socket.receive()
        except TimeoutError:
            return False
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        self._frame += 1
        try:
            await self._check_key()
            answer: BaseModel = await self._scored(message.get("bytes"))
        except ReidError as error:
            answer = self._refusal(error)
        else:
            self._bad = 0
        code = answer.code if isinstance(answer, StreamErrorOut) else "ok"
        self._core.metrics.stream_frames.labels(code).inc()
        await socket.send_text(answer.model_dump_json())
        return not (isinstance(answer, StreamErrorOut) and answer.ends)

    async def _scored(self, jpeg: bytes | None) -> StreamFrameOut:
        if jpeg is None:
            raise StreamMessageError("expected a frame as a binary message, got text")
        self._rate.take("frames")
        ticket = self._core.actions.admission.arrive()
        try:
            ticket.begin(1)
            image = await self._model.queue.decoders.run(decode_image, jpeg)
            rows = await self._model.queue.compute([image], ticket)
        finally:
            ticket.leave()
        self._moments.append(Moment.now())
        logits = self._window.push(torch.from_numpy(rows[0]).to(self._model.recognizer.device)).cpu()
        labels = ranked(self._model.bundle.labels, logits.softmax(dim=0).numpy())
        event = await self._news(labels[0])
        return StreamFrameOut(
            frame=self._frame,
            window_frames=len(self._window),
            labels=labels_out(labels),
            event=None if event is None else ActionSeenOut.of(event),
        )

    async def _news(self, best: LabelScore) -> ActionSeen | None:
        """Kept when what is recognised becomes something else, once the window is full."""
        if self._wanted is None or len(self._window) < self._window.length:
            return None
        label, before = self._wanted.news(best), self._told
        self._told = label
        if label is None or label == before:
            return None
        seen = self._wanted.seen(label, best.score, self._moments[0], self._moments[-1])
        await run_in_threadpool(self._core.gallery.add_actions, self._actor, [seen])
        return seen

    async def _check_key(self) -> None:
        if time.monotonic() - self._checked_s >= KEY_S:
            await run_in_threadpool(_check_in_force, self._core, self._actor)
            self._checked_s = time.monotonic()

    def _refusal(self, error: ReidError) -> StreamErrorOut:
        problem = problem_of(error)
        self._bad += problem.status < 500  # what is ours to answer for is not held against the frame
        ends = isinstance(error, StreamMessageError | UnauthorizedError) or self._bad >= MOST_BAD_FRAMES
        return StreamErrorOut(frame=self._frame, status=problem.status, code=problem.code, detail=str(error), ends=ends)


def _check_in_force(core: Core, actor: Actor) -> None:
    with core.gallery.reading(actor) as reading:
        key = reading.key(actor.key_id)
    if key is not None and key.revoked_at is not None:
        raise UnauthorizedError("expected an API key in force, got one that was revoked")
