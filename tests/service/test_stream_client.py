"""The client of the action stream, of both kinds, against a real service."""

import asyncio

import pytest

from service.client import ServiceError
from service.schemas.actions import StreamErrorOut, StreamFrameOut
from service.stream_client import StreamEndedError, action_stream, async_action_stream
from tests.service.test_action_stream import frame


@pytest.fixture
def address(service, doings) -> tuple[str, str]:
    return str(service.client.base_url), service.client.headers["X-API-Key"]


def test_frames_are_answered_and_what_is_new_is_news(service, address):
    with action_stream(*address, bundle="doings", camera_id="north", labels=["calm", "wild"], min_score=0) as stream:
        answers = [stream.send(frame(seed)) for seed in range(4)]
    assert [one.window_frames for one in answers] == [1, 2, 3, 4]
    assert [one.event is None for one in answers] == [True, True, True, False]
    assert answers[3].event.label == answers[3].labels[0].label
    assert service.core.gallery.change == 1


def test_both_kinds_are_answered_alike(address):
    async def scores() -> list[StreamFrameOut | StreamErrorOut]:
        async with async_action_stream(*address, bundle="doings") as stream:
            return [await stream.send(data) for data in (frame(1), b"no frame", frame(2))]

    with action_stream(*address, bundle="doings") as stream:
        mine = [stream.send(data) for data in (frame(1), b"no frame", frame(2))]
    assert asyncio.run(scores()) == mine
    assert [type(one) for one in mine] == [StreamFrameOut, StreamErrorOut, StreamFrameOut]
    assert (mine[1].code, mine[1].ends) == ("image_format", False)


def test_a_stream_that_the_service_ended_says_so(address):
    with action_stream(*address, bundle="doings") as stream:
        answers = [stream.send(b"no frame") for _ in range(10)]
        assert [one.ends for one in answers] == [False] * 9 + [True]
        with pytest.raises(StreamEndedError, match="1008"):
            stream.send(frame(1))


@pytest.mark.parametrize(
    ("key", "fields", "status", "code"),
    [
        ("wrong", {}, 401, "unauthorized"),
        (None, {"bundle": "nothing"}, 404, "not_found"),
        (None, {"min_score": 7}, 422, "invalid"),
    ],
)
def test_a_refusal_is_the_services_own(address, key, fields, status, code):
    url, right = address

    async def open_async() -> None:
        async with async_action_stream(url, key or right, **fields):
            pass

    def open_blocking() -> None:
        with action_stream(url, key or right, **fields):
            pass

    for opened in (open_blocking, lambda: asyncio.run(open_async())):
        with pytest.raises(ServiceError) as refused:
            opened()
        assert (refused.value.status, refused.value.code) == (status, code)
        assert refused.value.request_id != "unknown"
