"""Run the demo: `python -m service.demo`, or `make demo`."""

import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import track

from reid.errors import ReidError
from service.child import ChildError, running_service
from service.demo.people import DemoPeople, DemoSighting, generated_people, market_people
from service.demo.process import key_file, make_key, settings, wait_for_home
from service.demo.report import Answer, RankedMatch, matches_table, rank_1, write_picture

TOP_K = 5
_WORKERS = 8

console = Console(width=None if sys.stdout.isatty() else 120)


def demo(
    home: Annotated[Path, typer.Option(help="Folder of all that the demo writes.")] = Path("demo"),
    port: Annotated[int | None, typer.Option(help="Port to serve on (default: 8000, or a free one).")] = None,
    once: Annotated[bool, typer.Option(help="End after the table instead of serving.", envvar="ONCE")] = False,
) -> None:
    """Enrol people seen by several cameras, ask where else they were seen, and show the answers.

    The people are real where REID_DATASETS names a folder with Market-1501, and drawn by code where not.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(home, port, once)
    except (ChildError, ReidError, httpx.HTTPError) as error:
        typer.echo(f"demo: {error}", err=True)
        raise typer.Exit(1) from error


def _run(home: Path, port: int | None, once: bool) -> None:
    people = choose_people()
    console.print(f"People: {people.note}.")
    service_home, log = home / people.name, home / "service.log"
    wait_for_home(service_home)
    key = make_key(service_home, log)
    with running_service(service_home, log, port, settings()) as service:
        client = service.client
        client.headers["X-API-Key"] = key
        bundle_id = _active(client)["bundle_id"]
        console.print(f"Bundle: {bundle_id[:12]}.")
        enrol(client, people.sightings, bundle_id)
        console.print(f"The gallery holds {_active(client)['sightings']} sightings.")
        answers = [search(client, query) for query in people.queries]
        console.print(matches_table(answers, TOP_K))
        console.print(f"Rank-1 over {len(answers)} queries, other cameras only: {rank_1(answers):.1%}")
        picture = home / "matches.jpg"
        write_picture(picture, answers, TOP_K)
        console.print(f"Picture: {picture}")
        if not once:
            with contextlib.suppress(KeyboardInterrupt):
                console.print(f"Serving {service.url}: open it, sign in with the key in {key_file(service_home)}.")
                console.print("Ctrl-C ends it.")
                service.wait()


def choose_people() -> DemoPeople:
    """Real people where REID_DATASETS names a folder that holds Market-1501, drawn ones where not."""
    datasets = os.environ.get("REID_DATASETS")
    if not datasets:
        console.print("REID_DATASETS is not set, so there is no Market-1501 to show.")
        return generated_people()
    if not any(Path(datasets).glob("Market-1501*")):
        console.print(f"REID_DATASETS={datasets} holds no folder Market-1501-v15.09.15.", soft_wrap=True)
        return generated_people()
    return market_people(Path(datasets))


def enrol(client: httpx.Client, sightings: Sequence[DemoSighting], bundle_id: str) -> None:
    """Enrol every sighting; those of an earlier run with this bundle are known by their idempotency keys."""
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        enrolled = pool.map(lambda sighting: _enrol_one(client, sighting, bundle_id), sightings)
        for _ in track(enrolled, "Enrolling", total=len(sightings), console=console):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def search(client: httpx.Client, query: DemoSighting) -> Answer:
    """Ask where else the person of `query` was seen: on every camera but the query's own."""
    asked = {"top_k": TOP_K, "filter": {"not_cameras": [query.camera_id]}}
    files = {"file": ("query.jpg", query.image, "image/jpeg")}
    response = client.post("/v1/search", files=files, data={"query": json.dumps(asked)})
    result = _checked(response).json()["results"][0]
    return Answer(query, [_ranked(client, match) for match in result["matches"]], result["expected_false_matches"])


def _active(client: httpx.Client) -> dict[str, Any]:
    """The bundle in force."""
    (model,) = (model for model in _checked(client.get("/v1/models")).json()["models"] if model["active"])
    active: dict[str, Any] = model
    return active


def _enrol_one(client: httpx.Client, sighting: DemoSighting, bundle_id: str) -> None:
    fields = {
        "camera_id": sighting.camera_id,
        "captured_at": sighting.captured_at.isoformat(),
        "person_id": sighting.person_id,
        "tracklet_id": sighting.tracklet_id,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    key = hashlib.sha256(json.dumps([bundle_id, given]).encode() + sighting.image).hexdigest()
    files = {"file": ("crop.jpg", sighting.image, "image/jpeg")}
    _checked(client.post("/v1/sightings", files=files, data=given, headers={"Idempotency-Key": key}))


def _ranked(client: httpx.Client, match: dict[str, Any]) -> RankedMatch:
    image = _checked(client.get(f"/v1/sightings/{match['sighting_id']}/image")).content
    return RankedMatch(match["person_id"], match["camera_id"], match["score"], image)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    request = response.request
    raise ChildError(f"{request.method} {request.url.path} answered {response.status_code}: {response.text}")


if __name__ == "__main__":
    typer.run(demo)
