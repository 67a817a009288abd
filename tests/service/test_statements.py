"""A guard against answers that ask the store once for every record."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.service.conftest import Service


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The questions that connections ask which are opened meanwhile."""
    run: list[str] = []

    class Traced(sqlite3.Connection):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            self.set_trace_callback(lambda text: run.append(text) if text.startswith(("SELECT", "WITH")) else None)

    connect = sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, **(kwargs | {"factory": Traced})))
        yield run


@pytest.fixture
def traced_service(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[tuple[Service, list]]:
    with counted(monkeypatch) as run:
        yield request.getfixturevalue("service"), run


def test_no_answer_asks_the_store_more_often_the_more_there_is(traced_service) -> None:
    service, run = traced_service

    def statements(ask: Callable[[], object]) -> int:
        ask()  # connections and caches are there then
        run.clear()
        ask()
        return len(run)

    asked = {
        "search": lambda: service.search(queries=[{"sighting_id": first}], top_k=20),
        "search by person": lambda: service.search(queries=[{"sighting_id": first}], top_k=20, group_by="person"),
        "sightings": lambda: service.get("/v1/sightings", limit=100),
        "persons": lambda: service.get("/v1/persons", limit=100),
    }
    (sighting,) = service.enrol(0, person_id="p0")["sightings"]
    first = sighting["sighting_id"]
    service.enrol(1, person_id="p1")
    few = {name: statements(ask) for name, ask in asked.items()}
    for seed in range(2, 26):
        service.enrol(seed, person_id=f"p{seed}")
    many = {name: statements(ask) for name, ask in asked.items()}
    assert min(few.values()) > 0
    assert many == few
