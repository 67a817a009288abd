"""A change of the embedding bundle over HTTP: one switch for network, index and calibration, and the way back."""

import asyncio
import base64
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from reid.bundle import read_bundle
from reid.errors import BundleError
from reid.kinds import EMBEDDING
from reid.predictors import Embedder
from service import bundles
from service.core import Core
from service.gallery.errors import BundleChangedError
from service.gallery.ledger import SERVICE
from service.settings import Settings
from tests.conftest import write_tiny
from tests.service.conftest import Service, crop
from tests.service.gallery.conftest import DEADLINE_S, wait_until


@pytest.fixture
def other(service) -> Embedder:
    """A bundle of the same length of vectors, in the service's own folder: mixed up, nothing would show it."""
    return Embedder.load(write_tiny(service.core.settings.home / "models" / "other", seed=1), "cpu")


def started(service, bundle_id: str, expect: int = 202) -> dict:
    answer = service.client.post("/v1/models/activate", json={"bundle_id": bundle_id})
    assert answer.status_code == expect, answer.text
    return answer.json()


def ended(service, job: dict) -> dict:
    wait_until(lambda: service.get(f"/v1/jobs/{job['job_id']}")["state"] not in ("waiting", "running"))
    return service.get(f"/v1/jobs/{job['job_id']}")


def activated(service, bundle_id: str) -> dict:
    job = ended(service, started(service, bundle_id))
    assert job["state"] == "done", job
    return job


def best(service, seed: int) -> tuple[str, float, str]:
    """The best match of a crop: its id, its score, and by which bundle."""
    (result,) = service.search(queries=[{"images": [as_base64(seed)]}], top_k=1)["results"]
    (match,) = result["matches"]
    return match["sighting_id"], match["score"], match["bundle_id"]


def as_base64(seed: int) -> str:
    return base64.b64encode(crop(seed)).decode()


def scores(embedder: Embedder, jpegs: list[bytes], asked: bytes) -> list[float]:
    """The slow oracle: cosines, as that bundle alone sees the kept crops."""
    kept = embedder.embed(jpegs).astype(np.float16).astype(np.float64)
    (query,) = embedder.embed([asked]).astype(np.float64)
    return sorted((kept @ query / np.linalg.norm(kept, axis=1)).tolist(), reverse=True)


def test_the_network_the_index_and_the_calibration_change_together_and_back(service, other):
    first = service.core.model.embedder
    ids = [one["sighting_id"] for one in service.enrol(1, 2, 3, person_id="ada", camera_id="north")["sightings"]]
    jpegs = [service.client.get(f"/v1/sightings/{one}/image").content for one in ids]
    own = {"calibration": service.core.model.calibrations.current.table.to_json()}
    service.client.put("/v1/calibration", json=own).raise_for_status()
    before = service.get("/v1/models")
    assert (before["models"][0]["bundle_id"], before["before"]) == (first.bundle_id, None)
    for embedder, source in ((other, "bundle"), (first, "operator")):
        job = activated(service, embedder.bundle_id)
        assert (job["kind"], job["progress"], job["result"]["bundle_id"]) == ("activate", 1.0, embedder.bundle_id)
        embedded = service.client.post("/v1/embeddings", files={"file": crop(1)}).json()
        assert embedded["bundle_id"] == embedder.bundle_id
        assert embedded["embeddings"][0] == pytest.approx(embedder.embed([crop(1)])[0].tolist(), abs=1e-6)
        answer = service.search(queries=[{"images": [as_base64(9)]}], top_k=3)
        found = [match["score"] for match in answer["results"][0]["matches"]]
        assert found == pytest.approx(scores(embedder, jpegs, crop(9)), abs=2e-3)
        calibration = service.get("/v1/calibration")
        for said in (answer["calibration"], calibration):
            assert (said["bundle_id"], said["source"]) == (embedder.bundle_id, source)
    listed = service.get("/v1/models")
    assert listed["before"] == other.bundle_id
    kept = {one["bundle_id"]: (one["active"], one["sightings"]) for one in listed["models"] if one["sightings"]}
    assert kept == {first.bundle_id: (True, 3), other.bundle_id: (False, 3)}
    assert [line["action"] for line in service.get("/v1/audit")["audit"]].count("activate") == 4  # asked, and done


def test_to_roll_back_is_to_activate_the_one_before_which_embeds_what_came_since(service, other):
    first = service.core.model.bundle_id
    refused = service.client.post("/v1/models/rollback")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    service.enrol(1)
    activated(service, other.bundle_id)
    service.enrol(2)
    job = ended(service, service.client.post("/v1/models/rollback").json())
    assert job["result"] == {"bundle_id": first, "before": other.bundle_id}
    assert best(service, 2)[1:] == (pytest.approx(1, abs=2e-3), first)


def test_only_an_embedding_bundle_on_disk_can_be_activated(service, glasses, other):
    for bundle_id in ("0" * 64, next(iter(service.core.classifiers.on_disk().values())).id):
        assert "expected an embedding bundle on disk" in started(service, bundle_id, expect=404)["detail"]
    assert started(service, "tiny", expect=422)["code"] == "invalid"
    headers = {"Idempotency-Key": "once"}
    asked = {"json": {"bundle_id": other.bundle_id}, "headers": headers}
    one, two = (service.client.post("/v1/models/activate", **asked).json() for _ in range(2))
    assert one == two


@pytest.fixture
def held(service, other, monkeypatch):
    """The re-embedding waits at its first crop: (reached, go)."""
    reached, go = threading.Event(), threading.Event()
    model = type(service.core.model)
    embed = model.embed_kept

    def waiting(self, jpegs):
        reached.set()
        assert go.wait(DEADLINE_S)
        return embed(self, jpegs)

    monkeypatch.setattr(model, "embed_kept", waiting)
    yield reached, go
    go.set()


def test_what_is_enrolled_while_the_crops_are_embedded_again_is_found_before_and_after(service, other, held):
    reached, go = held
    first = service.core.model.bundle_id
    service.enrol(1)
    job = started(service, other.bundle_id)
    assert reached.wait(DEADLINE_S)
    (late,) = service.enrol(2, person_id="late")["sightings"]
    assert best(service, 2) == (late["sighting_id"], pytest.approx(1, abs=2e-3), first)
    assert service.get(f"/v1/jobs/{job['job_id']}")["state"] == "running"
    go.set()
    assert ended(service, job)["state"] == "done"
    assert best(service, 2) == (late["sighting_id"], pytest.approx(1, abs=2e-3), other.bundle_id)
    assert service.get("/v1/models")["models"][0]["sightings"] == 2


def test_a_change_that_is_cancelled_leaves_the_bundle_before(service, other, held):
    reached, go = held
    first = service.core.model.bundle_id
    service.enrol(1)
    job = started(service, other.bundle_id)
    assert reached.wait(DEADLINE_S)
    assert service.client.delete(f"/v1/jobs/{job['job_id']}").json()["state"] == "cancelled"
    go.set()
    ended(service, started(service, first))  # behind it: it is over
    assert service.get("/v1/models")["models"][0]["bundle_id"] == first
    assert list(service.core.models._loaded) == [first]
    assert best(service, 1)[1:] == (pytest.approx(1, abs=2e-3), first)


def test_a_change_that_is_cancelled_at_the_last_moment_does_not_happen(service, other, monkeypatch):
    """Between the last step of the job and the switch: the transaction itself sees that nobody wants it any more."""
    first, load = service.core.model.bundle_id, service.core.gallery._load_into
    service.enrol(1)

    def cancel(prepared):
        load(prepared)
        (job,) = service.get("/v1/jobs")["jobs"]
        service.client.delete(f"/v1/jobs/{job['job_id']}").raise_for_status()

    monkeypatch.setattr(service.core.gallery, "_load_into", cancel)
    assert ended(service, started(service, other.bundle_id))["state"] == "cancelled"
    wait_until(lambda: list(service.core.models._loaded) == [first])
    assert service.get("/v1/models")["models"][0]["bundle_id"] == first


def test_a_vector_says_whose_it_is_and_another_bundles_is_refused(service, other):
    service.enrol(1)
    vector = service.client.post("/v1/embeddings", files={"file": crop(1)}).json()
    query = {"vector": vector["embeddings"][0], "bundle_id": vector["bundle_id"]}
    assert service.search(queries=[query])["results"][0]["searched"] == 1
    activated(service, other.bundle_id)
    assert service.search(expect=422, queries=[query])["code"] == "vector"
    assert service.search(expect=422, queries=[{"person_id": "ada", "bundle_id": other.bundle_id}])["code"] == "invalid"


def again_and_again(done: threading.Event, ask: Callable[[], str]) -> set[str]:
    """Ask until `done`; by which bundles it was answered."""
    seen = set()
    while not done.is_set():
        seen.add(ask())
    return seen


def enrol_until(done: threading.Event, service: Service) -> list[int]:
    """Enrol one crop after the other; their seeds."""
    seeds: list[int] = []
    while not done.is_set():
        seeds.append(100 + len(seeds))
        service.enrol(seeds[-1])
    return seeds


def test_under_searches_and_enrolments_no_vector_meets_one_of_another_bundle(service, other):
    """Whatever is switched, a crop must find itself with score 1, which vectors of two bundles never reach."""
    first = service.core.model.embedder
    ids = [one["sighting_id"] for one in service.enrol(*range(4))["sightings"]]
    jpegs = [service.client.get(f"/v1/sightings/{one}/image").content for one in ids[:2]]
    both = {one.bundle_id: one.embed(jpegs).astype(np.float64) for one in (first, other)}
    assert abs(float(both[first.bundle_id][0] @ both[other.bundle_id][0])) < 0.9

    def by_image() -> str:
        answer = service.search(queries=[{"images": [as_base64(2)]}], top_k=1)
        (match,) = answer["results"][0]["matches"]
        assert match["score"] > 0.99
        assert match["bundle_id"] == answer["calibration"]["bundle_id"]
        return match["bundle_id"]

    def by_sighting() -> str:
        (result,) = service.search(queries=[{"sighting_id": ids[0]}], top_k=1000)["results"]
        (match,) = [one for one in result["matches"] if one["sighting_id"] == ids[1]]
        one, two = both[match["bundle_id"]]
        assert match["score"] == pytest.approx(one @ two, abs=5e-3)
        return match["bundle_id"]

    done = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(again_and_again, done, ask) for ask in (by_image, by_image, by_sighting)]
        enrolling = pool.submit(enrol_until, done, service)
        try:
            for number in range(4):
                activated(service, (other, first)[number % 2].bundle_id)
        finally:
            done.set()
    for one in asking:
        assert one.result() == both.keys()
    for seed in enrolling.result():
        assert best(service, seed)[1:] == (pytest.approx(1, abs=2e-3), first.bundle_id), seed


def test_a_queue_whose_model_was_replaced_takes_no_more(service, other):
    model = service.core.model
    activated(service, other.bundle_id)

    async def late():
        return await model.queue.compute([Image.new("RGB", (32, 64))], model.queue.admission.arrive())

    with pytest.raises(BundleChangedError, match="one that was replaced: ask again"):
        asyncio.run(late())


def opened(settings: Settings) -> str:
    with closing(Core.open(settings)) as core:
        return core.model.bundle_id


def bundle_id(folder) -> str:
    return read_bundle(folder, EMBEDDING).id


def test_a_restart_goes_on_with_the_bundle_in_force(tmp_path, tiny_bundle):
    home = tmp_path / "home"
    own = write_tiny(home / "models" / "own", seed=2)
    named = Settings(home=home, bundle="own", device="cpu")
    assert opened(named) == bundle_id(own)
    elsewhere = Settings(home=home, bundle=str(tiny_bundle), device="cpu")
    assert opened(elsewhere) == bundle_id(own)
    with closing(Core.open(elsewhere)) as core:
        core.models.activate(SERVICE, bundle_id(tiny_bundle), lambda *_: None, lambda _: None)
    assert opened(elsewhere) == bundle_id(tiny_bundle)


def test_a_bundle_in_force_that_is_gone_from_the_disk_is_replaced_only_where_it_was_said(tmp_path, tiny_bundle, caplog):
    home = tmp_path / "home"
    assert opened(Settings(home=home, bundle=str(tiny_bundle), device="cpu")) == bundle_id(tiny_bundle)
    with pytest.raises(BundleError, match=f"expected the bundle in force, {bundle_id(tiny_bundle)}, on disk, got none"):
        Core.open(Settings(home=home, device="cpu"))
    another = write_tiny(tmp_path / "another", seed=3)
    assert opened(Settings(home=home, bundle=str(another), device="cpu")) == bundle_id(another)
    assert "is not on disk any more: REID_BUNDLE takes its place" in caplog.text


def test_a_shipped_bundle_that_an_upgrade_replaces_goes_on_from_the_copy_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "SHIPPED", tmp_path / "shipped")
    home = tmp_path / "home"
    before = bundle_id(write_tiny(tmp_path / "shipped" / "default", seed=2))
    second = bundle_id(write_tiny(tmp_path / "shipped" / "second", seed=3))
    settings = Settings(home=home, device="cpu")
    assert opened(settings) == before
    with closing(Core.open(settings)) as core:
        core.models.activate(SERVICE, second, lambda *_: None, lambda _: None)
    for name in ("default", "second"):
        shutil.rmtree(tmp_path / "shipped" / name)
        write_tiny(tmp_path / "shipped" / name, seed=4)
    with closing(Core.open(settings)) as core:
        assert core.model.bundle_id == second
        core.models.activate(SERVICE, before, lambda *_: None, lambda _: None)
    assert opened(settings) == before
    assert {path.stat().st_mode & 0o077 for path in (home / "models").rglob("*")} == {0}


def test_the_kept_crops_of_a_bundle_are_counted_for_each_key_by_what_it_sees(service: Service, other):
    service.enrol(1, camera_id="north")
    service.enrol(2, camera_id="south")
    activated(service, other.bundle_id)
    key = service.key("read", cameras=frozenset(["north"]))
    counts = {one["bundle_id"]: one["sightings"] for one in service.get("/v1/models", headers=key)["models"]}
    assert counts[other.bundle_id] == 1


def test_crops_are_embedded_on_all_devices_and_the_next_model_too(tmp_path, tiny_bundle):
    settings = Settings(home=tmp_path / "home", bundle=str(tiny_bundle), device="cpu,cpu")
    second = bundle_id(write_tiny(settings.home / "models" / "second", seed=2))
    with closing(Core.open(settings)) as core:
        assert len(core.model.queue._runs) == 2
        core.models.activate(SERVICE, second, lambda *_: None, lambda _: None)
        assert (core.model.bundle_id, len(core.model.queue._runs)) == (second, 2)
    with pytest.raises(ValueError, match="expected a GPU for the device 'cuda:7'"):
        Core.open(Settings(home=tmp_path / "other", bundle=str(tiny_bundle), device="cpu,cuda:7"))
