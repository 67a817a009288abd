"""`reid-service frigate`."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import aiomqtt
import typer

from reid.errors import ReidError
from service import client, logs
from service.client import AsyncClient
from service.frigate.adapter import Adapter, Terms
from service.frigate.api import Frigate, FrigateError
from service.frigate.ledger import Ledger
from service.mqtt import Broker
from service.remote import EXIT_REFUSED, Key, Url

_LOG = logging.getLogger("service.frigate")
_LOOK_AGAIN_S = 60.0
_SOON_S = 5.0
_AT_MOST_EACH_S = 1.0  # messages about events under way come many times a second
_RECONNECT_S = 5.0


def frigate(
    address: Annotated[
        str, typer.Option("--frigate", envvar="FRIGATE_URL", help="Where Frigate answers: http://frigate:5000.")
    ],
    ledger: Annotated[Path, typer.Option(help="A file that remembers which events are settled.")],
    mqtt: Annotated[
        str | None,
        typer.Option(
            envvar="FRIGATE_MQTT",
            help="Frigate's broker, mqtt://[USER:PASSWORD@]HOST[:PORT]; without it, Frigate is asked each minute.",
        ),
    ] = None,
    topic: Annotated[str, typer.Option(help="What Frigate's topics begin with.")] = "frigate",
    user: Annotated[str | None, typer.Option(envvar="FRIGATE_USER", help="To sign in to Frigate (port 8971).")] = None,
    password: Annotated[str | None, typer.Option(envvar="FRIGATE_PASSWORD", help="The user's password.")] = None,
    max_false_match_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Of one comparison: below it two sightings are one person's.")
    ] = 1e-4,
    min_score: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="A score in place of the rate, for a bundle without calibration."),
    ] = None,
    write_back: Annotated[
        bool, typer.Option("--write-back", help="Write the names of known people into Frigate's sub-labels.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Settle what can be settled now, then end.")] = False,
    url: Url = client.DEFAULT_URL,
    key: Key = None,
) -> None:
    """Enrol the people of Frigate's events, and give each event one identity across cameras.

    An event that has ended is enrolled once, from its clean snapshots, under a tracklet_id of its own, and is given the
    person of the best match, or a new one (`unknown-…`) that keeps its id until you merge it; name it, and its later
    events are that person's by name. Messages may be lost, doubled or late: what there is to do, Frigate's REST
    interface says. Frigate 0.17 or newer.
    """
    logs.configure()
    terms = Terms(None, min_score) if min_score is not None else Terms(max_false_match_rate)

    async def run(broker: Broker | None) -> None:
        async with Frigate(address, user or None, password) as source, AsyncClient(url, key) as reid:
            adapter = Adapter(source, reid, Ledger(ledger), terms, write_back=write_back)
            if once:
                await adapter.catch_up()
                return
            wake = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_work(adapter, wake))
                if broker is not None:
                    tasks.create_task(_listen(broker, f"{topic}/events", wake))

    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(run(None if mqtt is None else Broker.parse(mqtt)))
    except ReidError as error:
        typer.echo(f"reid-service: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(EXIT_REFUSED) from error


async def _work(adapter: Adapter, wake: asyncio.Event) -> None:
    """Catch up whenever woken, each minute anyway, and soon again where something is left."""
    while True:
        wake.clear()
        try:
            left = await adapter.catch_up()
        except FrigateError as error:
            _LOG.warning("%s", error)
            left = True
        await asyncio.sleep(_AT_MOST_EACH_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), _SOON_S if left else _LOOK_AGAIN_S)


async def _listen(broker: Broker, topic: str, wake: asyncio.Event) -> None:
    """Wake at every message, and at every connection: what was said in between nobody repeats."""
    while True:
        try:
            async with broker.client() as connection:
                await connection.subscribe(topic)
                wake.set()
                async for _ in connection.messages:
                    wake.set()
        except aiomqtt.MqttError as error:
            _LOG.warning("the broker is away: %s", error)
            await asyncio.sleep(_RECONNECT_S)
