"""The model's queue: batches of what waits, joined again; refused, dropped or forgotten where it would be in vain."""

import asyncio
import re
import socket
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from service import door
from service.batching import BATCH_IMAGES, ModelQueue, _Request
from service.decoding import Decoders
from service.metrics import Metrics
from service.problems import DeadlineError
from service.settings import Settings
from tests.service.conftest import DEADLINE_S, crop, serving
from tests.service.gallery.conftest import wait_until


def picture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


class Gate:
    """The real embedder, which waits at a gate and writes down how many images each batch had."""

    def __init__(self, embedder, monkeypatch) -> None:
        self.open, self.reached, self.batches = threading.Event(), threading.Event(), []
        real = embedder.embed_pixels

        def gated(pixels):
            self.reached.set()
            assert self.open.wait(DEADLINE_S)
            self.batches.append(len(pixels))
            return real(pixels)

        monkeypatch.setattr(embedder, "embed_pixels", gated)


@pytest.fixture
def gate(embedder, monkeypatch) -> Gate:
    return Gate(embedder, monkeypatch)


@contextmanager
def queue_of(embedder, deadline_s: float = DEADLINE_S, copies: int = 1):
    decoders, metrics = Decoders(), Metrics()

    def run(pixels):
        return embedder.embed_pixels(pixels)

    queue = ModelQueue(embedder.bundle.preprocess, [run] * copies, decoders, metrics, deadline_s)
    try:
        yield queue
    finally:
        queue.close()
        decoders.close()


async def compute(queue, pictures):
    """As a request does, from its head to its answer."""
    ticket = queue.admission.arrive()
    ticket.begin(len(pictures))
    try:
        return await queue.compute(pictures, ticket)
    finally:
        ticket.leave()


async def behind(queue, gate, *sizes: int):
    """Requests that wait, in this order, behind one that the model has in hand."""
    first = asyncio.create_task(compute(queue, [picture(0)]))
    await asyncio.to_thread(gate.reached.wait, DEADLINE_S)
    tasks = []
    for number, size in enumerate(sizes, 1):
        waiting = queue.waiting
        tasks.append(asyncio.create_task(compute(queue, [picture(100 * number + place) for place in range(size)])))
        while queue.waiting < waiting + size:
            await asyncio.sleep(0.001)
    return first, tasks


def test_requests_are_split_into_batches_and_joined_again(embedder, gate):
    sizes = (3, 40, 1, 30)

    async def run():
        with queue_of(embedder) as queue:
            first, tasks = await behind(queue, gate, *sizes)
            gate.open.set()
            return await first, await asyncio.gather(*tasks)

    _, answers = asyncio.run(run())
    assert gate.batches == [1, 16, 16, 16, 16, 10]
    for number, (size, rows) in enumerate(zip(sizes, answers, strict=True), 1):
        expected = embedder.embed([picture(100 * number + place) for place in range(size)])
        assert np.allclose(rows, expected, atol=2e-2)  # other batches round otherwise in half precision
        assert np.argmax(rows @ expected.T, axis=1).tolist() == list(range(size))


def test_a_request_is_shared_out_over_several_devices_and_joined_in_order(embedder, monkeypatch):
    pictures = [picture(number) for number in range(3 * BATCH_IMAGES)]
    expected = embedder.embed(pictures)
    together = threading.Barrier(3)  # the first goes on only once all three have a batch; and it is the last to end
    real, first = embedder.embed_pixels, threading.Event()

    def slow_first(pixels):
        rows = real(pixels)
        if together.wait(DEADLINE_S) == 0:
            assert first.wait(DEADLINE_S)
        else:
            first.set()
        return rows

    async def run():
        with queue_of(embedder, copies=3) as queue:
            monkeypatch.setattr(embedder, "embed_pixels", slow_first)
            return await compute(queue, pictures)

    rows = asyncio.run(run())
    assert np.argmax(rows @ expected.T, axis=1).tolist() == list(range(len(pictures)))


def test_what_is_too_late_is_dropped_and_never_computed(embedder, gate):
    async def run():
        with queue_of(embedder) as queue:
            first, (late, good) = await behind(queue, gate, 5, 2)
            queue._waiting[0][0].ticket.deadline_s = 0
            gate.open.set()
            await asyncio.gather(first, good)
            with pytest.raises(DeadlineError):
                await late

    asyncio.run(run())
    assert gate.batches == [1, 2]


def test_images_of_a_caller_who_left_are_not_computed(embedder, gate):
    async def run():
        with queue_of(embedder) as queue:
            first, (left, good) = await behind(queue, gate, 7, 2)
            left.cancel()
            await asyncio.wait([left])
            gate.open.set()
            await asyncio.gather(first, good)

    asyncio.run(run())
    assert gate.batches == [1, 2]


def test_a_batch_that_fails_is_raised_where_it_is_waited_for_and_the_next_one_runs(embedder, monkeypatch):
    real = embedder.embed_pixels
    failures = iter([RuntimeError("out of memory")])

    def sometimes(pixels):
        for failure in failures:
            raise failure
        return real(pixels)

    monkeypatch.setattr(embedder, "embed_pixels", sometimes)

    async def run():
        with queue_of(embedder) as queue:
            with pytest.raises(RuntimeError, match="out of memory"):
                await compute(queue, [picture(1)])
            return await compute(queue, [picture(1)])

    assert asyncio.run(run()).shape == (1, 32)


def test_time_that_is_too_short_for_a_batch_is_no_time(embedder, gate):
    async def run():
        with queue_of(embedder) as queue:
            first, (late,) = await behind(queue, gate, 1)
            queue._batch_s = 2 * DEADLINE_S
            gate.open.set()
            await first
            with pytest.raises(DeadlineError):
                await late

    asyncio.run(run())
    assert gate.batches == [1]


def test_a_model_that_hangs_keeps_nobody_beyond_the_deadline(embedder, gate):
    async def run():
        with queue_of(embedder, deadline_s=0.05) as queue:
            with pytest.raises(DeadlineError):
                await compute(queue, [picture(1)])
            assert queue.admission.images == 0
            gate.open.set()

    asyncio.run(run())


def test_the_pace_is_measured_on_full_batches_and_on_small_ones_of_a_busy_house(embedder, gate):
    gate.open.set()
    with queue_of(embedder) as queue:
        queue.warm_up()
        measured = queue.admission.images_per_s
        assert 0 < measured < 1e6
        ticket = queue.admission.arrive()
        ticket.begun_s = 0.0
        batch = [(_Request(None, ticket), 0)]
        queue._measure(batch, 999.0, 1000.0)  # one image, which was there for 1000 s, in a quiet house
        assert queue.admission.images_per_s == measured
        queue._ended_s = 0.0
        queue.admission.images = BATCH_IMAGES
        queue._measure(batch, 999.0, 1000.0)
        assert queue.admission.images_per_s == pytest.approx(0.8 * measured + 0.2 / 1000)


def test_a_full_queue_refuses_before_the_body_is_read_but_not_what_needs_no_model(service, gate, caplog, monkeypatch):
    monkeypatch.setattr(door, "TOLD_AFTER_S", 0.01)
    gate.open.set()
    sighting_id = service.enrol(1, person_id="ada")["sightings"][0]["sighting_id"]
    admission = service.core.model.queue.admission
    admission.images_per_s = 1e-3
    first = admission.arrive()
    first.hold(1)
    url, key = service.client.base_url, service.client.headers["X-API-Key"]
    head = f"POST /v1/search HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 99999\r\n"
    for kind in ("multipart/form-data; boundary=b", "application/json"):
        with socket.create_connection((url.host, url.port), timeout=DEADLINE_S) as connection:
            connection.sendall(f"{head}Content-Type: {kind}\r\n\r\n".encode())
            answer = connection.recv(4096).decode()
        assert answer.startswith("HTTP/1.1 503 ")
        assert "retry-after: 1995" in answer.lower()
        assert "x-content-type-options: nosniff" in answer.lower()
    said = re.compile(r"(\d+) requests were sent away")
    wait_until(lambda: sum(map(int, said.findall(caplog.text))) == 2)  # the last ones too, though nobody comes after
    assert service.search(queries=[{"sighting_id": sighting_id}])["results"][0]["matches"] == []
    first.leave()
    service.enrol(2)  # an empty house lets anyone in
    assert admission.images == 0


def test_a_client_that_hangs_up_takes_its_images_with_it(service, gate):
    with socket.create_connection((service.client.base_url.host, service.client.base_url.port)) as first:
        ask(service, first)
        assert gate.reached.wait(DEADLINE_S)
        with socket.create_connection((service.client.base_url.host, service.client.base_url.port)) as second:
            ask(service, second)
            wait_until(lambda: service.core.model.queue.waiting == 1)
            (request, _) = service.core.model.queue._waiting[0]
        wait_until(request.future.cancelled)
        gate.open.set()
        assert first.recv(4096).startswith(b"HTTP/1.1 200")
    service.enrol(2)
    assert gate.batches == [1, 1]


def ask(service, connection: socket.socket) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + crop(1) + b"\r\n--b--\r\n"
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nX-API-Key: {service.client.headers['X-API-Key']}\r\n"
    head += f"Content-Length: {len(body)}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    connection.sendall(head.encode() + body)


def test_a_body_that_does_not_come_is_given_up_at_the_deadline_that_began_with_the_head(tmp_path, embedder):
    with serving(Settings(home=tmp_path / "home", auth="off", deadline_s=0.2), embedder) as service:
        url = service.client.base_url
        head = f"POST /v1/embeddings HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Length: 99999\r\n"
        with socket.create_connection((url.host, url.port), timeout=DEADLINE_S) as connection:
            connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b".encode())
            wait_until(lambda: service.core.model.queue.admission.images == 1)  # it has its place before its body
            answer = b"".join(iter(lambda: connection.recv(4096), b""))  # to the end: the connection is closed
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code": "body_timeout"' in answer
        wait_until(lambda: service.core.model.queue.admission.images == 0)


def test_a_start_that_is_given_up_leaves_no_thread_behind(embedder):
    def broken(_):
        raise RuntimeError("no memory")

    threads = set(threading.enumerate())
    queue = ModelQueue(embedder.bundle.preprocess, [broken], Decoders(), Metrics(), DEADLINE_S)
    with pytest.raises(RuntimeError, match="no memory"):
        queue.warm_up()
    assert set(threading.enumerate()) <= threads
