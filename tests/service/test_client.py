"""The client and the commands over it, against a real service; failures against a server that fails."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from typer.testing import CliRunner

from service import client
from service.cli import app
from service.client import AsyncClient, Client, ServiceError
from service.schemas.evaluations import EvaluationIn
from service.settings import refuse_unknown_names
from tests.clips.corpus import clip
from tests.service.conftest import crop
from tests.service.gallery.conftest import wait_until


@pytest.fixture
def reid(service) -> Iterator[Client]:
    with Client(str(service.client.base_url), service.client.headers["X-API-Key"]) as one:
        yield one


def test_everything_a_client_does(reid):
    made = reid.send(client.enrol([crop(1), crop(2)], person_id="ada & co?#1", camera_id="north")).sightings
    assert reid.send(client.person("ada & co?#1")).sightings == 2
    assert reid.send(client.sighting(made[0].sighting_id)) == reid.send(
        client.set_attributes(made[0].sighting_id, {})
    ).model_copy(update={"change": 1})
    reid.send(client.enrol([crop(3)]))
    (result,) = reid.send(client.search([crop(1)], top_k=2)).results
    assert result.matches[0].sighting_id == made[0].sighting_id
    (by_id,) = reid.send(client.search(queries=[{"sighting_id": made[0].sighting_id}])).results
    assert by_id.searched == 2
    assert len(reid.send(client.embed([crop(1)])).embeddings[0]) == 32
    reid.send(client.add_person("bob", name="Bob"))
    assert reid.send(client.change_person("bob", name=None)).name is None
    assert reid.send(client.merge("bob", "ada & co?#1")).sightings == 2
    split = reid.send(client.split("bob", [made[1].sighting_id]))
    assert [one.person_id for page in reid.pages(client.persons(limit=1)) for one in page.persons] == [
        "bob",
        split.person_id,
    ]
    assert len([one for page in reid.pages(client.sightings(limit=1)) for one in page.sightings]) == 3
    (active, *_) = reid.send(client.models()).models
    job_id = reid.send(client.activate(active.bundle_id)).job_id
    wait_until(lambda: reid.send(client.job(job_id)).state == "done")
    assert reid.send(client.remove_job(job_id)).state == "forgotten"
    with pytest.raises(ServiceError, match="409 conflict"):
        reid.send(client.roll_back())
    job_id = reid.send(client.evaluate(EvaluationIn(domain="mine"))).job_id
    wait_until(lambda: reid.send(client.job(job_id)).state == "failed")
    assert [job.job_id for job in reid.send(client.jobs()).jobs] == [job_id]
    assert reid.send(client.remove_job(job_id)).state == "forgotten"
    assert reid.send(client.delete_sighting(made[0].sighting_id)).pending == []
    assert reid.send(client.erase_person("bob")).receipt.completed_at is not None


def test_a_clip_is_recognised_by_client_and_command(reid, service, doings, tmp_path):
    answer = reid.send(client.recognise(clip(), bundle="doings", windows="dense", camera_id="north", labels=["calm"]))
    assert [window.end_s for window in answer.windows] == [0.3, 0.7, 1.1]
    (tmp_path / "clip.mp4").write_bytes(clip())
    asked = ["actions", str(tmp_path / "clip.mp4"), "--bundle", "doings", "--dense", "--json"]
    environment = {"REID_URL": str(service.client.base_url), "REID_KEY": service.client.headers["X-API-Key"]}
    shown = CliRunner().invoke(app, asked, env=environment)
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["windows"] == [window.model_dump() for window in answer.windows]
    assert "0.3 s" in CliRunner().invoke(app, asked[:-1], env=environment).stdout


def test_the_same_calls_from_an_event_loop(service):
    async def run() -> list[str]:
        async with AsyncClient(str(service.client.base_url), service.client.headers["X-API-Key"]) as reid:
            await asyncio.gather(*(reid.send(client.add_person(f"p{number}")) for number in range(3)))
            return [one.person_id async for page in reid.pages(client.persons(limit=2)) for one in page.persons]

    assert sorted(asyncio.run(run())) == ["p0", "p1", "p2"]


def test_a_refusal_says_what_the_service_said(reid):
    with pytest.raises(ServiceError, match=r"expected a person that exists, got 'nobody' \(404 not_found") as refusal:
        reid.send(client.person("nobody"))
    assert (refusal.value.status, refusal.value.code) == (404, "not_found")


@pytest.fixture
def failing() -> Iterator[tuple[str, list[int], list[str]]]:
    """A server that answers with the statuses it is given, then 200; what it was asked, with the idempotency keys."""
    answers: list[int] = []
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.path} {self.headers.get('Idempotency-Key')}")
            status = answers.pop(0) if answers else 200
            if status == 0:
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(b'{"code": "queue_full", "detail": "too much waits", "sightings": [], "change": 1}')

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_enrolment_is_tried_again_under_one_idempotency_key(failing):
    url, answers, asked = failing
    answers += [503, 0]
    with Client(url) as reid:
        assert reid.send(client.enrol([b"x"])).change == 1
    assert len(asked) == 3
    assert len(set(asked)) == 1
    assert not asked[0].endswith("None")


def test_after_the_last_try_the_refusal_stands_and_what_does_things_twice_is_not_repeated(failing):
    url, answers, asked = failing
    answers += [429, 503, 504, 503, 0]
    with Client(url) as reid:
        with pytest.raises(ServiceError, match="too much waits"):
            reid.send(client.search(queries=[]))
        assert len(asked) == 3
        with pytest.raises(ServiceError):
            reid.send(client.embed([b"x"]))
        with pytest.raises(httpx.TransportError):
            reid.send(client.embed([b"x"]))
    assert len(asked) == 5


def test_something_that_is_not_the_service_is_told_apart(failing):
    url, _, _ = failing
    with Client(url) as reid, pytest.raises(ServiceError, match="expected an answer of this service"):
        reid.send(client.person("ada"))  # the server answers 501 with a page


@pytest.fixture
def command(service, tmp_path, monkeypatch):
    monkeypatch.setenv("REID_URL", str(service.client.base_url))
    monkeypatch.setenv("REID_KEY", service.client.headers["X-API-Key"])
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(crop(seed))

    def run(*arguments: str):
        return CliRunner().invoke(app, [argument.replace("@", f"{tmp_path}/") for argument in arguments])

    return run


def test_the_commands_enrol_list_and_ask(service, command):
    made = command("enrol", "@0.png", "@1.png", "--person", "ada", "--camera", "north")
    assert made.exit_code == 0, made.output
    assert len(made.stdout.split()) == 2
    assert "ada" in command("persons").stdout
    asked = command("query", "@0.png", "--top-k", "1")
    assert "ada" in asked.stdout
    assert "2 sightings searched" in asked.stdout
    answer = json.loads(command("query", "@0.png", "@1.png", "--json", "--by-person", "--rerank").stdout)
    assert [match["person_id"] for match in answer["results"][0]["matches"]] == ["ada"]
    assert json.loads(command("persons", "--json").stdout)["persons"][0]["sightings"] == 2
    nothing = command("query", "@0.png", "--camera", "south")
    assert "0 sightings searched" in nothing.stdout


def test_what_a_command_is_refused_is_one_line(command, monkeypatch):
    for arguments, message in (
        (("enrol", "@missing.png"), "No such file"),
        (("query", "@0.png", "--top-k", "0"), "top_k"),
        (("persons", "--key", "reid_none_none"), "401 unauthorized"),
        (("persons", "--url", "http://127.0.0.1:1"), "refused"),
    ):
        refused = command(*arguments)
        assert refused.exit_code == 2
        assert message in refused.stderr, refused.stderr
        assert refused.stderr.count("\n") == 1


def test_the_variables_of_the_commands_are_none_of_the_service():
    refuse_unknown_names({"REID_URL": "http://x", "REID_KEY": "secret"})


def test_only_what_does_nothing_twice_is_repeatable():
    """A second DELETE of a job would forget what the first cancelled; an erasure gives the same receipt again."""
    assert not any(call.repeatable for call in (client.remove_job("j"), client.delete_sighting("s")))
    assert all(call.repeatable for call in (client.erase_person("p"), client.job("j"), client.enrol([b""])))
