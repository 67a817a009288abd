"""Two services in one process over one Redis: what one does in the background, the other takes up."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reid.predictors import Embedder
from service.settings import Settings
from tests.conftest import write_tiny
from tests.redis_server import running_redis
from tests.service.conftest import Service, serving
from tests.service.gallery.conftest import wait_until
from tests.service.test_models import activated, best


@pytest.fixture
def pair(tmp_path: Path, embedder: Embedder, tiny_bundle: Path) -> Iterator[tuple[Service, Service]]:
    with running_redis(tmp_path / "redis") as server, ExitStack() as running:
        store = server.address().url

        def one(name: str) -> Service:
            home = tmp_path / name
            settings = Settings(home=home, bundle=str(tiny_bundle), auth="off", store=store, webhooks="private")
            return running.enter_context(serving(settings, embedder))

        yield one("one"), one("other")


def test_the_other_searches_with_the_bundle_that_one_switched_to(pair):
    one, other = pair
    bundles = [
        Embedder.load(write_tiny(service.core.settings.home / "models" / "second", seed=1), "cpu") for service in pair
    ]
    before = one.enrol(1, 2, person_id="ada")["sightings"][0]["sighting_id"]
    activated(one, bundles[0].bundle_id)
    wait_until(lambda: other.core.gallery.bundle_id == bundles[0].bundle_id)
    assert best(other, 1) == best(one, 1)
    assert best(other, 1)[::2] == (before, bundles[0].bundle_id)
    after = other.enrol(3, person_id="bob")
    wait_until(lambda: one.core.gallery.change >= after["change"])
    assert best(one, 3)[::2] == (after["sightings"][0]["sighting_id"], bundles[0].bundle_id)


def test_a_switch_to_a_bundle_that_is_not_here_is_said(pair):
    one, other = pair
    second = Embedder.load(write_tiny(one.core.settings.home / "models" / "second", seed=1), "cpu")
    one.enrol(1, person_id="ada")
    activated(one, second.bundle_id)
    wait_until(lambda: other.core.gallery.bundle_id == second.bundle_id)
    answer = other.client.post("/v1/search", json={"queries": [{"person_id": "ada"}]})
    assert answer.status_code == 503
    assert second.bundle_id in answer.json()["detail"]


def test_a_job_is_done_by_the_one_that_was_asked_and_cancelled_by_any(pair):
    one, other = pair
    one.enrol(1, 2, person_id="ada")
    job = one.client.post("/v1/export").json()
    wait_until(lambda: '"done"' in other.client.get(f"/v1/jobs/{job['job_id']}").text)
    assert other.client.delete(f"/v1/jobs/{job['job_id']}").is_success
    wait_until(lambda: one.client.get(f"/v1/jobs/{job['job_id']}").status_code == 404)


def test_a_webhook_that_the_other_removed_is_called_no_more(pair):
    one, other = pair
    made = one.client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/", "events": ["person_seen"]})
    webhook_id = made.json()["webhook_id"]
    wait_until(lambda: webhook_id in other.client.get("/v1/webhooks").text)
    (courier,) = one.core.couriers._couriers.values()
    other.client.delete(f"/v1/webhooks/{webhook_id}").raise_for_status()
    one.enrol(1, person_id="ada")
    wait_until(lambda: not courier.is_alive())


def test_the_requests_of_a_key_are_counted_for_both_together(tmp_path, embedder, tiny_bundle):
    with running_redis(tmp_path / "redis") as server, ExitStack() as running:
        store, bundle = server.address().url, str(tiny_bundle)
        one, other = (
            running.enter_context(
                serving(Settings(home=tmp_path / name, bundle=bundle, store=store, requests_per_minute=5), embedder)
            )
            for name in ("one", "other")
        )
        key, another = one.key("read"), one.key("read")
        for service in (one, other):
            service.core.gallery.store.write(lambda _: None)  # it follows: it knows the keys
        answers = [asked.client.get("/v1/persons", headers=key) for asked in (one, other, one, other, one, other, one)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
        assert other.client.get("/v1/persons", headers=another).status_code == 200
        server.client.delete(*server.client.keys("*:limit:*"))
        assert other.client.get("/v1/persons", headers=key).status_code == 200
        server.kill()
        assert one.client.get("/v1/persons", headers=key).json()["code"] == "store"
