"""What a service that is gone for good left undone, another does; of one that is there nothing is taken."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

import pytest

from service import succession
from service.gallery.records import Actor
from service.gallery.sqlite import jobs as table
from service.gallery.sqlite.jobs import Job, Outcome
from service.gallery.sqlite.webhooks import find_webhook
from service.settings import Settings
from tests.redis_server import running_redis
from tests.service.conftest import Service, serving
from tests.service.gallery.conftest import open_gallery, wait_until

Starting = Callable[[str], AbstractContextManager[Service]]
ADMIN = Actor("admin")


@pytest.fixture
def starting(tmp_path, embedder, tiny_bundle, monkeypatch):
    """Starts services over one gallery, to which whoever is silent is gone."""
    monkeypatch.setattr(succession, "GONE_S", 0.0)
    monkeypatch.setattr(succession, "LOOK_S", 0.05)
    with running_redis(tmp_path / "redis") as server:

        def start(name: str) -> AbstractContextManager[Service]:
            home, store = tmp_path / name, server.address().url
            settings = Settings(home=home, bundle=str(tiny_bundle), auth="off", store=store, webhooks="private")
            return serving(settings, embedder)

        yield start


def asked(service: Service, home_id: str, kind: str) -> Job:
    """A job that the service of that home was asked to do."""
    add = partial(table.add_job, actor=ADMIN, kind=kind, scope="admin", request={}, mentions=(), job_id=kind)
    return service.core.gallery.store.write(partial(add, home_id=home_id))


def state(service: Service, job_id: str) -> str:
    return service.client.get(f"/v1/jobs/{job_id}").json()["state"]


def test_the_heir_does_the_jobs_and_calls_the_webhooks(starting, receiver):
    with starting("gone") as gone:
        webhook = {"url": receiver.url, "events": ["person_seen"]}
        gone.client.post("/v1/webhooks", json=webhook).raise_for_status()
        home_id = gone.core.gallery.store.home_id
    with starting("heir") as heir:
        for kind in ("import", "export"):
            asked(heir, home_id, kind)
        wait_until(lambda: state(heir, "export") == "done")
        assert heir.client.get("/v1/export/export/archive").is_success
        enrolled = heir.enrol(2, person_id="bob")
        wait_until(lambda: receiver.changes == [enrolled["change"]])
        assert state(heir, "import") == "waiting"  # its archive lies where it was sent


def test_what_belongs_to_a_service_that_is_there_stays(starting):
    with ExitStack() as running:
        one, other = (running.enter_context(starting(name)) for name in ("one", "other"))
        webhook = {"url": "http://127.0.0.1:9/", "events": ["person_seen"]}
        webhook_id = one.client.post("/v1/webhooks", json=webhook).json()["webhook_id"]
        looked: list[frozenset[str]] = []
        heard = other.core.gallery.store.heard
        other.core.gallery.store.heard = lambda: looked.append(heard()) or looked[-1]
        wait_until(lambda: len(looked) >= 3)
        homes = {service.core.gallery.store.home_id for service in (one, other)}
        assert homes <= looked[-1]
        with other.core.gallery.store.reading() as reading:
            assert find_webhook(reading, webhook_id).home_id == one.core.gallery.store.home_id


def test_a_service_that_was_only_held_up_stops_to_call(starting):
    with ExitStack() as running:
        one, other = (running.enter_context(starting(name)) for name in ("one", "other"))
        webhook = {"url": "http://127.0.0.1:9/", "events": ["person_seen"]}
        one.client.post("/v1/webhooks", json=webhook).raise_for_status()
        (courier,) = one.core.couriers._couriers.values()
        heard = other.core.gallery.store.heard
        other.core.gallery.store.heard = lambda: heard() - {one.core.gallery.store.home_id}
        wait_until(lambda: other.core.couriers._couriers)
        one.enrol(1, person_id="ada")
        wait_until(lambda: not courier.is_alive())


def test_what_it_still_does_of_a_job_is_not_kept(tmp_path):
    gallery = open_gallery(tmp_path)
    try:
        write = gallery.store.write
        write(partial(table.add_job, actor=ADMIN, kind="work", scope="read", request={}, mentions=(), job_id="job",
                      home_id="one"))  # fmt: skip
        before = write(partial(table.take_next, home_id="one"))
        assert write(partial(table.take_over, home_id="one", heir="other")) == 1
        after = write(partial(table.take_next, home_id="other"))
        write(partial(table.finish, job=before, outcome=Outcome({"answer": 1})))
        write(partial(table.end, job=before, state="failed", reason="held up"))
        write(partial(table.put_back, which=before, counted=False))
        write(partial(table.put_back, which="one", counted=True))
        with gallery.store.reading() as reading:
            assert table.find_job(reading, "job") == after
            assert not table.is_running(reading, "job", "one")
        assert (after.state, after.attempts, after.home_id) == ("running", 2, "other")
    finally:
        gallery.close()
