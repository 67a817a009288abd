"""Export and import over HTTP and from the shell: jobs, files that erasure reaches, hostile uploads."""

import asyncio
import io
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from typer.testing import CliRunner

from service import client
from service.app import create_app
from service.cli import app
from service.client import AsyncClient, Client, ServiceError
from service.gallery import transfer
from service.gallery.archive import zstd
from service.settings import Settings
from tests.service.conftest import Service, serving
from tests.service.gallery.conftest import DEADLINE_S, EVERYONE, files, kept, wait_until

ZSTD = {"Content-Type": "application/zstd"}


@pytest.fixture
def elsewhere(tmp_path, embedder) -> Iterator[Service]:
    """A second service, empty."""
    with serving(Settings(home=tmp_path / "elsewhere", max_archive_bytes=2**20), embedder) as running:
        yield running


@pytest.fixture
def full(service) -> Service:
    for seed, person_id in enumerate(["Ada", "Ursula", "Ada"]):
        service.enrol(seed, person_id=person_id, camera_id="north", tags="red")
    service.enrol(7)
    return service


def ended(service: Service, job: dict) -> dict:
    wait_until(lambda: service.get(f"/v1/jobs/{job['job_id']}")["state"] not in ("waiting", "running"))
    return service.get(f"/v1/jobs/{job['job_id']}")


def exported(service: Service) -> tuple[str, bytes]:
    """The job, and the archive that it made."""
    started = service.client.post("/v1/export")
    assert started.status_code == 202, started.text
    job = ended(service, started.json())
    assert (job["state"], job["progress"], job["result"]["sightings"]) == ("done", 1.0, 4), job
    answer = service.client.get(f"/v1/export/{job['job_id']}/archive")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zstd")
    assert job["result"]["bytes"] == len(answer.content) == int(answer.headers["content-length"])
    return job["job_id"], answer.content


def sent(service: Service, data: bytes, expect: int = 202, headers=None) -> dict:
    answer = service.client.post("/v1/import", content=data, headers=ZSTD | (headers or {}))
    assert answer.status_code == expect, answer.text
    return answer.json()


def archives(service: Service) -> list[str]:
    return sorted(path.name for path in (service.core.settings.home / "archives").iterdir())


def everything(service: Service) -> list:
    """People and sightings as they are answered, with their images."""
    people, sightings = service.get("/v1/persons")["persons"], service.get("/v1/sightings")["sightings"]
    images = [service.client.get(f"/v1/sightings/{one['sighting_id']}/image").content for one in sightings]
    return [people, sightings, images]


def test_what_one_service_exports_another_takes_in_and_finds(full, elsewhere):
    _, data = exported(full)
    job = ended(elsewhere, sent(elsewhere, data))
    assert (job["state"], job["result"]) == ("done", {"persons": 2, "sightings": 4, "known": 0, "erased": 0})
    assert everything(elsewhere) == everything(full)
    query = {"queries": [{"person_id": "Ada"}], "top_k": 10}
    assert elsewhere.search(**query)["results"] == full.search(**query)["results"]
    again = ended(elsewhere, sent(elsewhere, data))
    assert again["result"] == {"persons": 0, "sightings": 0, "known": 4, "erased": 0}
    assert archives(elsewhere) == []
    actions = [line["action"] for line in elsewhere.get("/v1/audit")["audit"]]
    assert actions.count("import") >= 2


def test_a_part_of_an_archive_can_be_fetched(full):
    job_id, data = exported(full)
    answer = full.client.get(f"/v1/export/{job_id}/archive", headers={"Range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, data[100:200])


def test_an_export_is_fetched_once_it_is_done_and_of_nothing_else(full):
    evaluation = ended(full, full.client.post("/v1/evaluations", json={}).json())
    assert full.get(f"/v1/export/{evaluation['job_id']}/archive", expect=404)["code"] == "not_found"
    full.get("/v1/export/nothing/archive", expect=404)
    one, two = (full.client.post("/v1/export", headers={"Idempotency-Key": "once"}).json() for _ in range(2))
    assert one == two


def test_a_forgotten_export_takes_its_archive_along(full):
    job_id, _ = exported(full)
    assert archives(full) == [job_id]
    full.client.delete(f"/v1/jobs/{job_id}").raise_for_status()
    assert archives(full) == []


def test_who_is_erased_is_gone_from_archives_too(full):
    """The export holds a crop and a name: after the receipt no file below REID_HOME does."""
    job_id, data = exported(full)
    assert archives(full) == [job_id]
    receipt = full.client.delete("/v1/persons/Ursula").json()["receipt"]
    assert receipt["completed_at"] is not None
    assert archives(full) == []
    assert full.get(f"/v1/export/{job_id}/archive", expect=410)["code"] == "erased"
    home = full.core.settings.home
    assert [name for name, content in files(home).items() if b"Ursula" in content or content == data] == []
    assert ended(full, sent(full, data))["result"] == {"persons": 0, "sightings": 0, "known": 3, "erased": 1}
    full.get("/v1/persons/Ursula", expect=404)


@pytest.fixture
def slow_export(monkeypatch):
    """Exports wait in the middle, each time: (reached, go)."""
    reached, go, read = threading.Event(), threading.Event(), transfer._export_some

    def waiting(*arguments):
        reached.set()
        assert go.wait(DEADLINE_S)
        return read(*arguments)

    monkeypatch.setattr(transfer, "_export_some", waiting)
    yield reached, go
    go.set()


def test_who_is_erased_while_an_export_is_written_is_not_in_it(full, slow_export):
    reached, go = slow_export
    job = full.client.post("/v1/export").json()
    assert reached.wait(DEADLINE_S)  # the people are written
    (unfinished,) = archives(full)
    full.get(f"/v1/export/{job['job_id']}/archive", expect=409)
    assert full.client.delete("/v1/persons/Ursula").json()["receipt"]["completed_at"] is not None
    assert archives(full) == []
    go.set()
    done = ended(full, job)
    assert (unfinished.startswith(job["job_id"]), done["state"], done["result"]["sightings"]) == (True, "done", 3)
    data = full.client.get(f"/v1/export/{job['job_id']}/archive").content
    assert b"Ursula" not in zstd.decompress(data)


def test_an_export_that_is_cancelled_leaves_nothing(full, slow_export):
    reached, go = slow_export
    job = full.client.post("/v1/export").json()
    assert reached.wait(DEADLINE_S)
    assert full.client.delete(f"/v1/jobs/{job['job_id']}").json()["state"] == "cancelled"
    go.set()
    wait_until(lambda: archives(full) == [])
    full.get(f"/v1/export/{job['job_id']}/archive", expect=404)


def test_an_import_that_waits_when_somebody_is_erased_is_not_done(full, slow_export):
    """The archive may hold whoever was erased: it goes, and the job says what to do."""
    reached, go = slow_export
    go.set()
    _, data = exported(full)
    go.clear()
    reached.clear()
    full.client.post("/v1/export").raise_for_status()
    assert reached.wait(DEADLINE_S)
    job = sent(full, data)  # behind the export
    assert job["job_id"] in archives(full)
    full.client.delete("/v1/persons/Ursula").raise_for_status()
    assert archives(full) == []
    go.set()
    failed = ended(full, job)
    assert (failed["state"], "went when somebody was erased" in failed["reason"]) == ("failed", True)


def test_an_import_goes_on_after_a_restart(full, tmp_path, embedder, monkeypatch):
    _, data = exported(full)
    settings = Settings(home=tmp_path / "third")
    monkeypatch.setattr(transfer, "_SIGHTINGS_AT_ONCE", 1)
    taken, go, take_in = threading.Event(), threading.Event(), transfer.Gallery.take_in

    def waiting(*arguments):
        written = take_in(*arguments)
        taken.set()
        assert go.wait(DEADLINE_S)
        return written

    with serving(settings, embedder) as first, monkeypatch.context() as patched:
        patched.setattr(transfer.Gallery, "take_in", waiting)
        job = sent(first, data)
        assert taken.wait(DEADLINE_S)
        first.core.jobs._closing.set()  # as the end of the service begins
        first.core.jobs._current[1].stop()
        go.set()
    with serving(settings, embedder) as again:
        assert ended(again, job)["state"] == "done"
        assert again.get("/v1/models")["models"][0]["sightings"] == 4
        assert archives(again) == []


def hostile(data: bytes) -> dict[str, tuple[bytes, str]]:
    plain = zstd.decompress(data)
    return {
        "nothing": (b"", "archive"),
        "something else": (b"PK\3\4 something else", "archive"),
        "half": (data[: len(data) // 2], "archive"),
        "half of it, well packed": (zstd.compress(plain[: len(plain) // 2]), "archive"),
        "one byte changed": (zstd.compress(plain.replace(b"Ursula", b"Ursulb", 1)), "archive"),
        "much more than it is": (zstd.compress(bytes(2**27)), "archive"),
    }


def test_what_is_no_archive_is_refused_and_nothing_of_it_is_kept(full, elsewhere):
    """Whole batches come before the fault in some of them: they are not taken in either."""
    _, data = exported(full)
    for name, (upload, code) in hostile(data).items():
        assert sent(elsewhere, upload, expect=422)["code"] == code, name
    assert sent(elsewhere, bytes(2**20 + 1), expect=413)["code"] == "body_too_large"
    chunked = elsewhere.client.post("/v1/import", content=iter([bytes(2**19)] * 3), headers=ZSTD)
    assert (chunked.status_code, chunked.json()["code"]) == (413, "body_too_large")
    wrong = elsewhere.client.post("/v1/import", content=data, headers={"Content-Type": "application/zip"})
    assert (wrong.status_code, wrong.json()["code"]) == (415, "unsupported_media_type")
    assert (elsewhere.get("/v1/jobs")["jobs"], archives(elsewhere)) == ([], [])
    assert kept(elsewhere.core.settings.home) == set()
    assert elsewhere.core.gallery.change == 0


def test_an_archive_is_larger_than_other_bodies_may_be(full, tmp_path, embedder):
    _, data = exported(full)
    with serving(Settings(home=tmp_path / "small", max_body_bytes=1024), embedder) as small:
        assert len(data) > 1024
        assert ended(small, sent(small, data))["state"] == "done"


def test_a_sender_who_leaves_leaves_nothing(full):
    host, port = full.client.base_url.host, full.client.base_url.port
    head = f"POST /v1/import HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {full.client.headers['X-API-Key']}\r\n"
    with socket.create_connection((host, port), timeout=DEADLINE_S) as sender:
        sender.sendall(f"{head}Content-Type: application/zstd\r\nContent-Length: 1000\r\n\r\nabc".encode())
        wait_until(lambda: archives(full) != [])
    wait_until(lambda: archives(full) == [])
    assert full.get("/v1/jobs")["jobs"] == []


def test_the_same_upload_under_one_key_is_one_job(full, elsewhere):
    _, data = exported(full)
    one, two = (sent(elsewhere, data, headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert one["job_id"] == two["job_id"]
    ended(elsewhere, one)
    full.enrol(9)
    transfer.export_gallery(full.core.gallery, EVERYONE, other := io.BytesIO())
    refused = sent(elsewhere, other.getvalue(), expect=409, headers={"Idempotency-Key": "once"})
    assert refused["code"] == "idempotency_key_reused"
    assert archives(elsewhere) == []


def test_the_client_sends_and_fetches_archives_blocking_or_not(full, elsewhere):
    key = full.client.headers["X-API-Key"]
    with Client(str(full.client.base_url), key) as reid:
        job = reid.finished(reid.send(client.export()), every_s=0.01)
        one = io.BytesIO()
        reid.download(job.job_id, one)
        with pytest.raises(ServiceError, match="404 not_found"):
            reid.download("nothing", io.BytesIO())
        with pytest.raises(ServiceError, match="422 archive"):
            reid.upload(io.BytesIO(b"no archive"))
        one.seek(0)
        assert reid.finished(reid.upload(one), every_s=0.01).result["known"] == 4

    async def run() -> None:
        async with AsyncClient(str(full.client.base_url), key) as reid:
            two = io.BytesIO()
            await reid.download(job.job_id, two)
            assert two.getvalue() == one.getvalue()
            two.seek(0)
            assert (await reid.finished(await reid.upload(two), every_s=0.01)).result["known"] == 4
            with pytest.raises(ServiceError, match="404 not_found"):
                await reid.download("nothing", io.BytesIO())

    asyncio.run(run())


@contextmanager
def breaking(service: Service, after: list[int]) -> Iterator[str]:
    """The address of a wire to the service that is cut so many bytes into each of the first answers."""

    class Wire(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            url = service.client.base_url
            with socket.create_connection((url.host, url.port)) as there:
                asking = threading.Thread(target=passed_on, args=(self.request, there))
                asking.start()
                passed_on(there, self.request, after.pop(0) if after else None)
                asking.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Wire) as wires:
        thread = threading.Thread(target=wires.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{wires.server_address[1]}"
        finally:
            wires.shutdown()
            thread.join()


def passed_on(source: socket.socket, target: socket.socket, most: int | None = None) -> None:
    """Bytes from one to the other until there are no more, or as many as there may be; then both are closed."""
    with suppress(OSError):
        while (most is None or most > 0) and (piece := source.recv(65536)):
            target.sendall(piece[:most])
            most = None if most is None else most - len(piece)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def test_a_download_that_breaks_off_goes_on_where_it_was(full):
    key = full.client.headers["X-API-Key"]
    job_id, data = exported(full)
    assert len(data) > 2000
    cuts = [800, 1000]
    with breaking(full, cuts) as url, Client(url, key, tries=3) as reid:
        reid.download(job_id, whole := io.BytesIO())
        assert whole.getvalue() == data
        assert cuts == [], "two were cut, and the third went through"

        async def run() -> bytes:
            cuts[:] = [1000, 800]
            async with AsyncClient(url, key, tries=3) as reid:
                await reid.download(job_id, again := io.BytesIO())
                return again.getvalue()

        assert asyncio.run(run()) == data
        cuts[:] = [900, 900, 900]
        with Client(url, key, tries=3) as tired, pytest.raises(httpx.TransportError):
            tired.download(job_id, io.BytesIO())


def test_the_commands_export_and_import(full, elsewhere, tmp_path):
    file = tmp_path / "gallery.tar.zst"

    def run(service: Service, *arguments: str):
        where = {"REID_URL": str(service.client.base_url), "REID_KEY": service.client.headers["X-API-Key"]}
        return CliRunner().invoke(app, arguments, env=where)

    done = run(full, "export", str(file))
    assert (done.exit_code, done.stdout) == (0, f"4 sightings, {file.stat().st_size} bytes\n"), done.output
    assert file.stat().st_mode & 0o077 == 0
    assert (archives(full), [path.name for path in tmp_path.glob("*.part")]) == ([], [])
    said = "2 people and 4 sightings are new, 0 sightings were here already, 0 were erased here and stay so\n"
    assert run(elsewhere, "import", str(file)).stdout == said
    assert everything(elsewhere) == everything(full)
    (tmp_path / "other").write_bytes(b"no archive")
    refused = run(elsewhere, "import", str(tmp_path / "other"))
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "422 archive" in refused.stderr


def test_an_archive_is_written_and_read_a_piece_at_a_time(full):
    """No piece of a download is large, whatever the file is: seen from the messages of the application itself."""
    job_id, _ = exported(full)
    path = full.core.gallery.archives.path(job_id)
    path.write_bytes(bytes(3 * 2**20))  # as a large gallery would leave it
    sizes: list[int] = []

    async def ask() -> None:
        async def send(message):
            sizes.append(len(message.get("body", b"")))

        async def receive():
            await asyncio.sleep(DEADLINE_S)

        headers = [(b"x-api-key", full.client.headers["X-API-Key"].encode())]
        scope = {"type": "http", "method": "GET", "path": f"/v1/export/{job_id}/archive", "query_string": b""}
        await create_app(full.core)(scope | {"headers": headers, "extensions": {}, "root_path": ""}, receive, send)

    asyncio.run(ask())
    assert sum(sizes) == 3 * 2**20
    assert max(sizes) <= 2**17
