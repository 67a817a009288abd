"""`reid-service home-assistant`."""

import asyncio
import logging
from contextlib import suppress
from typing import Annotated

import aiomqtt
import httpx
import typer

from service import client, logs
from service.client import AsyncClient, ServiceError, with_key
from service.homeassistant.board import Board
from service.homeassistant.sensors import OFFLINE, ONLINE, Topics
from service.mqtt import Broker, BrokerError
from service.remote import EXIT_REFUSED, Key, Url

_LOG = logging.getLogger("service.homeassistant")
_AT_MOST_EACH_S = 1.0  # a busy entrance is news many times a second
_RECONNECT_S = 5.0
_SILENT_S = 60.0  # the service says every 15 s that it is still here: one whose machine lost its power says nothing


def home_assistant(
    mqtt: Annotated[
        str, typer.Option(envvar="REID_MQTT", help="Home Assistant's broker, mqtt://[USER:PASSWORD@]HOST[:PORT].")
    ],
    discovery: Annotated[
        str, typer.Option(help="What Home Assistant's discovery topics begin with.")
    ] = "homeassistant",
    topic: Annotated[str, typer.Option(help="What the states' topics begin with.")] = "reid",
    every: Annotated[
        float,
        typer.Option(min=0.1, max=60, help="Seconds between looks for what is no event: names, merges, erasures."),
    ] = 10,
    url: Url = client.DEFAULT_URL,
    key: Key = None,
) -> None:
    """Tell Home Assistant who was last seen where: a sensor for each person with a name.

    The sensor's state is the camera_id of their latest sighting; its attributes say when, and which sighting. Whoever
    loses their name, or is erased, is gone from the broker within seconds; give the broker no names you would not
    give to everybody who may read it.
    """
    logs.configure()
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_follow(Broker.parse(mqtt), Topics(discovery, topic), every, url, key))
    except (BrokerError, ServiceError, httpx.HTTPError) as error:
        typer.echo(f"reid-service: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(EXIT_REFUSED) from error


async def _follow(broker: Broker, topics: Topics, every_s: float, url: str, key: str | None) -> None:
    async with AsyncClient(url, key) as reid:
        await reid.send(client.persons(limit=1))  # a wrong address or key is said at once
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_hear(url, key, wake))
            tasks.create_task(_keep(broker, topics, every_s, reid, wake))


async def _hear(url: str, key: str | None, wake: asyncio.Event) -> None:
    """Wake whenever somebody is seen."""
    async with httpx.AsyncClient(base_url=url, headers=with_key(key), timeout=_SILENT_S) as http:
        while True:
            try:
                async with http.stream("GET", "/v1/events") as answer:
                    answer.raise_for_status()
                    wake.set()  # what was said in between nobody repeats
                    async for line in answer.aiter_lines():
                        if line.startswith("data:"):
                            wake.set()
            except httpx.HTTPError as error:
                _LOG.warning("the service's events are away: %s", str(error) or type(error).__name__)
            await asyncio.sleep(_RECONNECT_S)


async def _keep(broker: Broker, topics: Topics, every_s: float, reid: AsyncClient, wake: asyncio.Event) -> None:
    """Keep the broker's messages what they should be, whatever connection is lost."""
    gone = aiomqtt.Will(topics.availability, OFFLINE, qos=1, retain=True)
    while True:
        try:
            async with (
                broker.client(will=gone) as connection,
                asyncio.TaskGroup() as tasks,
            ):
                board = Board(connection)
                tasks.create_task(_listen(connection, topics, board, wake))
                tasks.create_task(_settle(board, topics, every_s, reid, wake))
                await connection.publish(topics.availability, ONLINE, qos=1, retain=True)
        except* aiomqtt.MqttError as errors:
            _LOG.warning("the broker is away: %s", errors.exceptions[0])
        await asyncio.sleep(_RECONNECT_S)


async def _listen(connection: aiomqtt.Client, topics: Topics, board: Board, wake: asyncio.Event) -> None:
    for pattern in topics.patterns:
        await connection.subscribe(pattern, qos=1)
    async for message in connection.messages:
        payload = message.payload
        if board.heard(str(message.topic), payload.decode(errors="replace") if isinstance(payload, bytes) else ""):
            wake.set()


async def _settle(board: Board, topics: Topics, every_s: float, reid: AsyncClient, wake: asyncio.Event) -> None:
    while True:
        wake.clear()
        try:
            people = [one async for page in reid.pages(client.persons(limit=1000)) for one in page.persons]
            await board.settle(topics.messages(people))
        except (ServiceError, httpx.HTTPError) as error:
            _LOG.warning("people cannot be listed: %s", error)
        await asyncio.sleep(min(_AT_MOST_EACH_S, every_s))
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), every_s)
