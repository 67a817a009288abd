"""Webhooks: signed, in order, tried again, given up in the open; never to an inner address by mistake."""

import asyncio
import ipaddress
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from service.gallery.sqlite.keys import open_keys, revoke_key
from service.problems import WebhookError
from service.settings import Settings
from service.webhooks import courier
from service.webhooks.address import check_url, is_public, resolve
from service.webhooks.courier import sign
from tests.clips.corpus import clip
from tests.service.conftest import DEADLINE_S, serving, write_doings
from tests.service.gallery.conftest import wait_until
from tests.service.test_actions import recognise


@pytest.fixture
def calling(tmp_path, embedder, monkeypatch):
    """A service whose webhooks may call this machine, and that does not pause for long."""
    monkeypatch.setattr(courier, "FIRST_PAUSE_S", 0.01)
    with serving(Settings(home=tmp_path / "home", webhooks="private"), embedder) as service:
        yield service


def add(service, url, expect=201, **fields) -> dict:
    answer = service.client.post("/v1/webhooks", json={"url": url} | fields)
    assert answer.status_code == expect, answer.text
    return answer.json()


def test_a_call_is_signed_over_time_and_body_and_holds_the_events(calling, receiver):
    calling.enrol(1, person_id="before")
    webhook = add(calling, receiver.url)
    sightings = calling.enrol(2, 3, person_id="ada")["sightings"]
    wait_until(lambda: receiver.received)
    headers, body = receiver.received[0]
    assert headers["x-reid-signature"] == sign(webhook["secret"], headers["x-reid-timestamp"], body)
    assert headers["x-reid-delivery"] == f"{webhook['webhook_id']}-2"
    assert headers["host"] == receiver.url.split("/")[2]
    content = json.loads(body)
    assert [event["sighting"] for event in content["events"]] == sightings
    assert {event["event"] for event in content["events"]} == {"person_seen"}
    listed = calling.get("/v1/webhooks")["webhooks"]
    assert "secret" not in listed[0]
    wait_until(lambda: calling.get("/v1/webhooks")["webhooks"][0]["after_change"] == 2)


def test_the_same_request_adds_one_webhook(calling, receiver):
    headers = {"Idempotency-Key": "once"}
    one, two = (calling.client.post("/v1/webhooks", json={"url": receiver.url}, headers=headers) for _ in range(2))
    assert one.json() == two.json()
    calling.enrol(1)
    wait_until(lambda: calling.get("/v1/webhooks")["webhooks"][0]["after_change"] == 1)
    assert receiver.changes == [1]


def test_only_the_events_that_were_asked_for_are_called(calling, receiver):
    add(calling, receiver.url, events=["unknown_person_seen"])
    calling.enrol(1, person_id="ada")
    calling.enrol(2)
    wait_until(lambda: receiver.received)
    assert receiver.changes == [2]


def test_what_is_recognised_on_a_camera_is_called_out(calling, receiver):
    write_doings(calling.core.settings.home / "models" / "doings")
    webhook = add(calling, receiver.url, events=["action_recognised"])
    calling.enrol(1, person_id="ada", camera_id="north")
    assert recognise(calling, clip())["events"] == []
    answer = recognise(calling, clip(), camera_id="north", min_score=0)
    wait_until(lambda: receiver.received)
    headers, body = receiver.received[0]
    assert headers["x-reid-signature"] == sign(webhook["secret"], headers["x-reid-timestamp"], body)
    assert json.loads(body)["events"] == [
        {"event": "action_recognised", "change": answer["change"], "action": answer["events"][0]}
    ]
    assert receiver.changes == [answer["change"]]


def test_a_failure_is_tried_again_and_keeps_the_order(calling, receiver):
    receiver.answers = [500, 302, 404]
    add(calling, receiver.url)
    calling.enrol(1, person_id="ada")
    calling.enrol(2, person_id="bob")
    wait_until(lambda: len(receiver.received) == 5)
    assert receiver.changes == [1, 1, 1, 1, 2]
    assert len({headers["x-reid-delivery"] for headers, _ in receiver.received}) == 2


def test_what_cannot_be_delivered_is_listed_and_passed_over(calling, receiver):
    webhook = add(calling, receiver.url)
    receiver.answers = [500] * courier.MOST_ATTEMPTS
    calling.enrol(1, person_id="ada")
    calling.enrol(2, person_id="bob")
    path = f"/v1/webhooks/{webhook['webhook_id']}/dead-letters"
    wait_until(lambda: receiver.changes[-1:] == [2])
    (letter,) = calling.get(path)["dead_letters"]
    assert (letter["change"], letter["attempts"], letter["reason"]) == (1, courier.MOST_ATTEMPTS, "answered 500")
    calling.client.delete(f"/v1/webhooks/{webhook['webhook_id']}").raise_for_status()
    calling.get(path, expect=404)
    calling.enrol(3)
    assert calling.get("/v1/webhooks")["webhooks"] == []
    assert receiver.changes[-1] == 2


def test_what_happened_while_the_service_was_down_is_delivered_after(tmp_path, embedder, receiver, monkeypatch):
    monkeypatch.setattr(courier, "FIRST_PAUSE_S", 60)
    settings = Settings(home=tmp_path / "home", auth="off", webhooks="private")
    with serving(settings, embedder) as service:
        receiver.answers = [500]
        add(service, receiver.url)
        service.enrol(1, person_id="ada")
        wait_until(lambda: receiver.received)
    with serving(settings, embedder):
        wait_until(lambda: receiver.changes == [1, 1])


def test_a_person_erased_before_the_call_is_not_in_it(tmp_path, embedder, receiver, monkeypatch):
    monkeypatch.setattr(courier, "FIRST_PAUSE_S", 60)
    settings = Settings(home=tmp_path / "home", auth="off", webhooks="private")
    with serving(settings, embedder) as service:
        receiver.answers = [500]
        add(service, receiver.url)
        service.enrol(1, person_id="ada")
        service.enrol(2, person_id="bob")
        wait_until(lambda: receiver.received)
        service.client.delete("/v1/persons/ada").raise_for_status()
    with serving(settings, embedder):
        wait_until(lambda: receiver.changes == [1, 2])


def test_a_revoked_key_takes_its_webhooks_with_it(calling, receiver):
    key = calling.key("admin")
    calling.client.post("/v1/webhooks", json={"url": receiver.url}, headers=key).raise_for_status()
    with open_keys(calling.core.settings.store_address) as connection:
        revoke_key(connection, key["X-API-Key"].split("_")[1])
    add(calling, receiver.url + "&other")
    calling.enrol(1)
    wait_until(lambda: receiver.received)
    wait_until(lambda: len(threads("webhook")) == 1)
    assert len(receiver.received) == 1


def test_a_webhook_that_is_removed_during_its_call_ends_with_it(calling, receiver):
    """The call is finished, though it was refused; nothing is tried again, written down, or called after it."""
    receiver.answers = [500] * 3
    webhook = add(calling, receiver.url)
    with receiver.held:
        calling.enrol(1, person_id="ada")
        calling.enrol(2, person_id="bob")
        wait_until(lambda: receiver.received)
        calling.client.delete(f"/v1/webhooks/{webhook['webhook_id']}").raise_for_status()
        assert len(threads("webhook")) == 1
    wait_until(lambda: threads("webhook") == [])
    assert receiver.changes == [1]
    with calling.core.gallery.store.reading() as reading:
        assert reading.connection.execute("SELECT count(*) FROM dead_letters").fetchone() == (0,)


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


INNER = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"]
INNER += ["::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::", "ff02::1"]


@pytest.mark.parametrize("address", INNER)
def test_no_inner_address_is_called(address):
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(WebhookError, match="expected a public address"):
        resolve(f"https://{host}/", private=False)


def test_a_public_address_is_called_by_the_number_that_was_judged(monkeypatch):
    answers = iter(["93.184.215.14", "127.0.0.1"])
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (next(answers), 443))])
    target = resolve("https://rebinding.example/a?b=c", private=False)
    assert target.url == "https://93.184.215.14:443/a?b=c"
    assert (target.host_header, target.server_name) == ("rebinding.example", "rebinding.example")
    with pytest.raises(WebhookError, match="expected a public address"):
        resolve("https://rebinding.example/", private=False)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/", "ftp://example.org/", "https://", "https:///path", "file:///etc/passwd", "nonsense"),
        *("https://user:pass@example.org/", "https://example.org/#part", "https://exam ple.org/", "https://[::1/"),
        *("https://example.org:0/", "https://example.org:99999/", "https://example.org/\n", "https://bücher.example/"),
    ],
)
def test_a_url_that_is_no_plain_https_is_refused(url):
    with pytest.raises(WebhookError):
        check_url(url, private=False)


def test_an_inner_address_is_refused_when_it_is_added(service):
    for url in ("https://localhost/", "https://127.0.0.1:8000/v1/persons", "https://no-such-host.invalid/"):
        answer = service.client.post("/v1/webhooks", json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, "webhook")
    assert service.get("/v1/webhooks")["webhooks"] == []


def test_an_answer_that_never_comes_to_its_end_is_not_waited_for(monkeypatch):
    """Each of its pieces comes in time."""
    monkeypatch.setattr(courier, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def hesitate() -> None:
            connection, _ = server.accept()
            ended = time.monotonic() + DEADLINE_S
            with connection, suppress(ConnectionError):
                while time.monotonic() < ended:
                    connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
                    time.sleep(0.05)

        pool.submit(hesitate)
        target = resolve(f"http://127.0.0.1:{server.getsockname()[1]}/", private=True)
        with pytest.raises(TimeoutError):
            asyncio.run(courier._answer(target, b"{}", {}))


def test_a_courier_that_is_stopped_while_it_looks_for_news_ends(calling, receiver):
    add(calling, receiver.url)
    (thread,) = threads("webhook")
    (one,) = calling.core.couriers._couriers.values()

    class Stopping(threading.Event):
        def clear(self) -> None:
            one.stop()
            super().clear()

    news, one._news = one._news, Stopping()
    for event in (news, one._news):  # wherever it was
        event.set()
    thread.join(DEADLINE_S)
    alive = thread.is_alive()
    one._news.set()
    assert not alive


def test_a_webhook_that_comes_after_the_end_begins_at_the_next_start(calling, receiver):
    add(calling, receiver.url)
    (webhook,) = (one._webhook for one in calling.core.couriers._couriers.values())
    calling.core.couriers.close()
    calling.core.couriers.begin(webhook)
    left = threads("webhook")
    calling.core.couriers.close()
    assert left == []
