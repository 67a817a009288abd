"""The commands of `reid-service` that ask a running service: enrol, query, actions, persons, export, import."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from reid.errors import ReidError
from service import client
from service.client import Client, ServiceError
from service.schemas.jobs import JobAnswer

EXIT_REFUSED = 2

Url = Annotated[str, typer.Option(envvar="REID_URL", help="Where the service answers.")]
Key = Annotated[str | None, typer.Option(envvar="REID_KEY", help="An API key; none where REID_AUTH=off.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answers as they come, one a line.")]
Files = Annotated[list[Path], typer.Argument(help="Images: JPEG, PNG or WebP.")]


def enrol(
    files: Files,
    person: Annotated[str | None, typer.Option(help="Who it is; created if new. Unknown unless given.")] = None,
    camera: Annotated[str | None, typer.Option(help="The camera_id that saw them.")] = None,
    tracklet: Annotated[str | None, typer.Option(help="The tracklet_id, if the crops are of one run.")] = None,
    url: Url = client.DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Enrol crops of one person, and print the sightings' ids."""
    with asking(url, key) as service:
        for file in files:
            call = client.enrol([file.read_bytes()], person_id=person, camera_id=camera, tracklet_id=tracklet)
            answer = service.send(call)
            typer.echo(answer.model_dump_json() if json else answer.sightings[0].sighting_id)


def query(
    files: Files,
    top_k: Annotated[int, typer.Option(help="How many matches to show.")] = 10,
    camera: Annotated[list[str] | None, typer.Option(help="Only this camera_id. Repeat for several.")] = None,
    by_person: Annotated[bool, typer.Option(help="Only each person's best sighting.")] = False,
    rerank: Annotated[bool, typer.Option(help="Put the best matches into k-reciprocal order.")] = False,
    url: Url = client.DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Ask where else the person of these images was seen: all of them are one query."""
    with asking(url, key) as service:
        answer = service.send(
            client.search(
                [file.read_bytes() for file in files],
                top_k=top_k,
                filter={"cameras": camera} if camera else None,
                group_by="person" if by_person else "sighting",
                rerank=rerank,
            )
        )
    if json:
        typer.echo(answer.model_dump_json())
        return
    (result,) = answer.results
    table = Table("person", "score", "false-match rate", "camera", "seen", "sighting")
    for match in result.matches:
        rate = "" if match.false_match_rate is None else f"{match.false_match_rate:.1e}"
        seen = f"{match.captured_at:%Y-%m-%d %H:%M:%S}"
        cells = (match.person_id or "?", f"{match.score:.3f}", rate, match.camera_id or "", seen, match.sighting_id)
        table.add_row(*cells)
    Console().print(table)
    strangers = result.expected_false_matches
    expected = "" if strangers is None else f"; {strangers:.2g} strangers expected down to the last one"
    typer.echo(f"{result.searched} sightings searched{expected}")


def actions(
    clip: Annotated[Path, typer.Argument(help="A clip: MP4, AVI, MKV, WebM, MOV.")],
    bundle: Annotated[str | None, typer.Option(help="The action bundle to ask; `fights` unless given.")] = None,
    dense: Annotated[bool, typer.Option(help="Window after window, with time ranges: for long clips.")] = False,
    camera: Annotated[str | None, typer.Option(help="The camera_id: what is recognised becomes an event.")] = None,
    url: Url = client.DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Ask what happens in a clip."""
    with asking(url, key) as service:
        windows = "dense" if dense else None
        answer = service.send(client.recognise(clip.read_bytes(), bundle=bundle, windows=windows, camera_id=camera))
    if json:
        typer.echo(answer.model_dump_json())
        return
    table = Table("from", "to", "label", "score")
    for window in answer.windows:
        best = window.labels[0]
        table.add_row(f"{window.start_s:.1f} s", f"{window.end_s:.1f} s", best.label, f"{best.score:.3f}")
    Console().print(table)


def persons(
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    url: Url = client.DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """List people and how many sightings there are of each."""
    with asking(url, key) as service:
        pages = service.pages(client.persons(tag=tag))
        if json:
            for page in pages:
                typer.echo(page.model_dump_json())
            return
        table = Table("person", "name", "sightings", "tags")
        for page in pages:
            for one in page.persons:
                table.add_row(one.person_id, one.name or "", str(one.sightings), ", ".join(one.tags))
    Console().print(table)


def export(
    file: Annotated[Path, typer.Argument(help="The file to write; it is replaced once the new one is whole.")],
    url: Url = client.DEFAULT_URL,
    key: Key = None,
) -> None:
    """Write the whole gallery into one file: images, vectors, people. Needs the scope admin."""
    with asking(url, key) as service:
        done = _done(service, service.send(client.export()))
        part = file.with_name(f"{file.name}.part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                service.download(done.job_id, out)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        service.send(client.remove_job(done.job_id))  # it was fetched: no second copy of everybody stays
        assert done.result is not None
        typer.echo(f"{done.result['sightings']} sightings, {done.result['bytes']} bytes")


def take_in(
    file: Annotated[Path, typer.Argument(help="What `export` wrote.")],
    url: Url = client.DEFAULT_URL,
    key: Key = None,
) -> None:
    """Take in a file that `export` wrote. What is here already stays; who was erased stays erased. Needs admin.

    The file is checked to its end before anything of it is kept. An import that was cut short is simply begun again.
    """
    with asking(url, key) as service:
        with file.open("rb") as archive:
            job = service.upload(archive)
        result = _done(service, job).result
        assert result is not None
        typer.echo(
            f"{result['persons']} people and {result['sightings']} sightings are new, {result['known']} sightings were"
            f" here already, {result['erased']} were erased here and stay so"
        )


def _done(service: Client, job: JobAnswer) -> JobAnswer:
    """The job once it is done; raises OSError with the reason of one that is not."""
    ended = service.finished(job)
    if ended.state != "done":
        raise OSError(f"expected the job {ended.job_id} to be done, got it {ended.state}: {ended.reason}")
    return ended


@contextmanager
def asking(url: str, key: str | None) -> Iterator[Client]:
    """A client; what it is refused, or what cannot be read, becomes one line on stderr."""
    try:
        with Client(url, key) as service:
            yield service
    except (ReidError, ServiceError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        typer.echo(f"reid-service: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(EXIT_REFUSED) from error
