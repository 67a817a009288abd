"""Frigate's events become identities, whatever goes wrong on the way."""

import asyncio
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import pytest

from service.client import AsyncClient
from service.frigate.adapter import UNKNOWN, Adapter, Terms
from service.frigate.api import Frigate, FrigateError
from service.frigate.ledger import Ledger, LedgerError
from tests.service.frigate.fake import FakeFrigate, serving
from tests.service.gallery.conftest import DEADLINE_S, wait_until
from tests.service.mosquitto import running_mosquitto

SURE = Terms(None, min_score=0.9999)  # the tests' network is untrained: only the same pixels are the same person


@pytest.fixture
def frigate() -> Iterator[FakeFrigate]:
    with serving(FakeFrigate()) as fake:
        yield fake


@pytest.fixture
def catch_up(service, frigate: FakeFrigate, tmp_path: Path) -> Callable[..., bool]:
    """One pass, as a process that has just started makes it."""

    def run(user: str | None = None, password: str | None = None, *, write_back: bool = False) -> bool:
        async def once() -> bool:
            key = service.client.headers["X-API-Key"]
            async with (
                Frigate(frigate.url, user, password) as source,
                AsyncClient(str(service.client.base_url), key) as reid,
            ):
                ledger = Ledger(tmp_path / "ledger.json")
                return await Adapter(source, reid, ledger, SURE, write_back=write_back).catch_up()

        return asyncio.run(once())

    return run


def identities(service) -> dict[str, str]:
    """Event ids → person ids; each event has one sighting."""
    sightings = [one for page in pages(service) for one in page]
    found = {one["metadata"]["frigate_event"]: one["person_id"] for one in sightings}
    assert len(found) == len(sightings), "an event was enrolled twice"
    return found


def pages(service) -> Iterator[list[dict]]:
    cursor: dict[str, str] = {}
    while True:
        answer = service.get("/v1/sightings", **cursor)
        yield answer["sightings"]
        if answer["next_cursor"] is None:
            return
        cursor = {"cursor": answer["next_cursor"]}


def test_one_person_on_two_cameras_is_one_person(service, frigate, catch_up) -> None:
    first, second, other = frigate.add(1, 0, "door"), frigate.add(1, 9, "yard"), frigate.add(2, 5, "door")
    assert not catch_up()
    found = identities(service)
    assert found == {first: f"{UNKNOWN}{first}", second: f"{UNKNOWN}{first}", other: f"{UNKNOWN}{other}"}
    sighting = service.get("/v1/sightings", tracklet_id=f"frigate-{second}")["sightings"][0]
    assert (sighting["camera_id"], sighting["captured_at"][:19]) == ("yard", "2026-02-02T02:40:09")
    assert sighting["metadata"]["zones"] == ["porch"]


@pytest.mark.parametrize("walker", ["ada", "bob"])
def test_of_two_who_look_alike_the_one_is_meant_who_can_have_come(service, frigate, tmp_path, walker: str) -> None:
    """All who come to the yard were at the door ten seconds before, and so was one of two twins."""

    def seen(seed: int, person_id: str, camera: str, at_s: float) -> None:
        at = datetime.fromtimestamp(at_s, UTC).isoformat()
        service.enrol(seed, person_id=person_id, camera_id=camera, captured_at=at)

    begun_s = 1_770_000_000.0
    for number in range(8):
        seen(10 + number, f"other-{number}", "door", begun_s + 100 * number)
        seen(10 + number, f"other-{number}", "yard", begun_s + 100 * number + 10)
    for twin in ("ada", "bob"):
        seen(1, twin, "door", begun_s + (990 if twin == walker else 500))
    asked = frigate.add(1, 1000, "yard")

    async def once() -> None:
        key = service.client.headers["X-API-Key"]
        async with Frigate(frigate.url) as source, AsyncClient(str(service.client.base_url), key) as reid:
            ledger = Ledger(tmp_path / "ledger.json")
            assert not await Adapter(source, reid, ledger, Terms(max_false_match_rate=0.01)).catch_up()

    asyncio.run(once())
    (sighting,) = service.get("/v1/sightings", tracklet_id=f"frigate-{asked}")["sightings"]
    assert sighting["person_id"] == walker


def test_only_people_who_were_seen_to_the_end_are_enrolled(service, frigate, catch_up) -> None:
    frigate.add(1, 0, "door", false_positive=True)
    under_way = frigate.add(2, 1, "door", end_time=None)
    frigate.add(3, 2, "door", has_snapshot=False)
    assert catch_up()  # one is under way
    assert identities(service) == {}
    frigate.events[1]["end_time"] = frigate.events[1]["start_time"] + 60
    assert not catch_up()
    assert identities(service) == {under_way: f"{UNKNOWN}{under_way}"}


def test_the_snapshots_of_an_event_under_way_are_one_tracklet_of_one_person(service, frigate, tmp_path) -> None:
    key = service.client.headers["X-API-Key"]
    under_way = frigate.add(0, 0, "door", end_time=None)
    wrong = frigate.add(9, 1, "door", end_time=None)

    async def watch() -> None:
        async with Frigate(frigate.url) as source, AsyncClient(str(service.client.base_url), key) as reid:
            adapter = Adapter(source, reid, Ledger(tmp_path / "ledger.json"), SURE)
            for seed in (0, 0, 1, 2, 3, 4):
                frigate.seeds[under_way] = seed
                assert await adapter.catch_up()
                assert service.get("/v1/sightings")["sightings"] == []  # nobody is enrolled before the end
            for event in frigate.events:
                event["end_time"] = event["start_time"] + 60
            frigate.events[1]["false_positive"] = True
            assert not await adapter.catch_up()
            assert adapter._earlier == {}

    asyncio.run(watch())
    sightings = service.get("/v1/sightings")["sightings"]
    assert {one["metadata"]["frigate_event"] for one in sightings} == {under_way}
    assert {one["tracklet_id"] for one in sightings} == {f"frigate-{under_way}"}
    assert {one["person_id"] for one in sightings} == {f"{UNKNOWN}{under_way}"}
    assert len({one["image_sha256"] for one in sightings}) == len(sightings) == 4
    assert wrong not in str(sightings)


def test_an_event_that_appears_late_is_not_missed(service, frigate, catch_up) -> None:
    frigate.add(1, 2000, "door")
    assert not catch_up()
    late = frigate.add(2, 100, "door")
    assert not catch_up()
    assert late in identities(service)


@pytest.mark.parametrize("fault", [404, 500, 503])
def test_a_snapshot_that_is_not_there_yet_is_asked_for_again(service, frigate, catch_up, fault: int) -> None:
    first, second = frigate.add(1, 0, "door"), frigate.add(2, 1, "door")
    frigate.faults[f"/api/events/{first}/snapshot-clean.webp"] = [fault]
    assert catch_up()
    assert set(identities(service)) == {second}  # others go on
    assert not catch_up()
    assert set(identities(service)) == {first, second}


@pytest.mark.parametrize("why", ["its snapshot failed", "it was under way"])
def test_an_event_that_waits_for_hours_is_not_forgotten(service, frigate, catch_up, why: str) -> None:
    first, later = frigate.add(1, 0, "door"), frigate.add(2, 10 * 3600, "yard")
    if why == "it was under way":
        frigate.events[0]["end_time"] = None
    else:
        frigate.faults[f"/api/events/{first}/snapshot-clean.webp"] = [503]
    assert catch_up()
    assert set(identities(service)) == {later}
    frigate.events[0]["end_time"] = frigate.events[0]["start_time"] + 9 * 3600
    frigate.faults[f"/api/events/{first}"] = [500]
    latest = frigate.add(3, 10 * 3600 + 1, "yard")
    assert catch_up()
    assert set(identities(service)) == {later, latest}  # others go on
    assert not catch_up()
    assert set(identities(service)) == {first, later, latest}
    assert not catch_up()
    assert frigate.asked[f"GET /api/events/{first}"] == 2  # settled, it is not asked for again


def test_an_event_that_frigate_deletes_is_not_waited_for(service, frigate, catch_up) -> None:
    first, later = frigate.add(1, 0, "door"), frigate.add(2, 10 * 3600, "yard")
    frigate.faults[f"/api/events/{first}/snapshot-clean.webp"] = [404]
    assert catch_up()
    del frigate.events[0]
    assert not catch_up()
    assert not catch_up()
    assert frigate.asked[f"GET /api/events/{first}"] == 1
    assert set(identities(service)) == {later}


def test_a_frigate_that_does_not_answer_says_so(frigate, catch_up) -> None:
    frigate.faults["/api/events"] = [500]
    with pytest.raises(FrigateError, match="GET /api/events: expected an answer, got 500"):
        catch_up()


def test_more_events_than_a_page_are_all_read(service, frigate, catch_up) -> None:
    ids = {frigate.add(1, number, "door") for number in range(103)}
    assert not catch_up()
    assert set(identities(service)) == ids
    assert set(identities(service).values()) == {f"{UNKNOWN}{min(ids, key=lambda one: float(one.split('-')[0]))}"}


def test_known_people_are_written_back_by_name(service, frigate, catch_up, tmp_path) -> None:
    first = frigate.add(1, 0, "door")
    catch_up(write_back=True)
    assert frigate.sub_labels == {}
    service.client.patch(f"/v1/persons/{UNKNOWN}{first}", json={"name": "A. L."}).raise_for_status()
    named = frigate.add(1, 5, "yard")
    catch_up(write_back=True)
    assert frigate.sub_labels.keys() == {named}
    assert frigate.sub_labels[named]["subLabel"] == "A. L."
    service.client.post("/v1/persons", json={"person_id": "ada", "name": "Ada"}).raise_for_status()
    service.client.post("/v1/persons/ada/merge", json={"other_id": f"{UNKNOWN}{first}"}).raise_for_status()
    second = frigate.add(1, 9, "yard")
    catch_up(write_back=True)
    assert frigate.sub_labels[second]["subLabel"] == "Ada"
    assert frigate.sub_labels[second]["subLabelScore"] > 0.99
    (tmp_path / "ledger.json").unlink()
    catch_up(write_back=True)
    assert frigate.sub_labels[second] == {"subLabel": "Ada"}  # known by then, and no match to tell a score of


def test_a_lost_ledger_enrols_nobody_twice(service, frigate, catch_up, tmp_path) -> None:
    frigate.add(1, 0, "door")
    frigate.add(2, 1, "yard")
    catch_up()
    before = identities(service)
    (tmp_path / "ledger.json").unlink()
    catch_up()
    assert identities(service) == before


def test_a_run_that_was_cut_short_between_enrolling_and_naming_goes_on(service, frigate, catch_up) -> None:
    first = frigate.add(1, 0, "door")
    catch_up()
    sighting = service.get("/v1/sightings")["sightings"][0]["sighting_id"]
    service.client.patch(f"/v1/sightings/{sighting}", json={"person_id": None}).raise_for_status()
    second = frigate.add(3, 1, "door")
    catch_up()
    assert identities(service)[second] == f"{UNKNOWN}{second}"
    assert identities(service)[first] is None  # settled: what an operator changed stays


def test_it_signs_in_where_it_must(service, frigate, catch_up) -> None:
    frigate.password = "secret"
    first = frigate.add(1, 0, "door")
    with pytest.raises(FrigateError, match="401"):
        catch_up()
    catch_up("admin", "secret")
    assert set(identities(service)) == {first}


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text('{"1770000000.0-e0": 1770000000.0}')
    with pytest.raises(LedgerError, match="expected a ledger of events"):
        Ledger(tmp_path / "ledger.json")


def test_the_ledger_forgets_what_is_not_listed_any_more(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.json")
    ledger.settle("old", 1000.0)
    ledger.settle("new", 10_000.0)
    again = Ledger(tmp_path / "ledger.json")
    assert ("old" in again, "new" in again, again.after) == (False, True, 6400.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    with running_mosquitto(tmp_path) as port:
        yield port


async def publish(port: int, messages: list[str]) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as connection:
        for message in messages:
            await connection.publish("frigate/events", message)


def test_messages_may_be_lost_doubled_and_out_of_order(service, frigate, broker: int, tmp_path: Path) -> None:
    """A hundred events of five people on three cameras: the identities are those of the pixels."""
    chance = random.Random(0)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "service.cli", "frigate", "--frigate", frigate.url, "--min-score", "0.9999"),
            *("--ledger", str(tmp_path / "ledger.json"), "--mqtt", f"mqtt://127.0.0.1:{broker}"),
            *("--url", str(service.client.base_url), "--key", service.client.headers["X-API-Key"]),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        for part in range(4):
            ids = [frigate.add(chance.randrange(5), 25 * part + one, f"camera {one % 3}") for one in range(25)]
            heard = [f'{{"type": "end", "after": {{"id": "{one}"}}}}' for one in ids if chance.random() < 0.5]
            chance.shuffle(heard)
            asyncio.run(publish(broker, ["not json", *heard, *heard]))
            wait_until(lambda: len(identities(service)) == 25 * (part + 1))  # noqa: B023 - called before part changes
        wait_until(lambda: None not in identities(service).values())
    finally:
        process.terminate()
        process.wait(DEADLINE_S)
    people = defaultdict(set)
    for event_id, person_id in identities(service).items():
        people[frigate.seeds[event_id]].add(person_id)
    assert len(people) == 5
    assert all(len(persons) == 1 for persons in people.values())
    assert len(set.union(*people.values())) == 5
