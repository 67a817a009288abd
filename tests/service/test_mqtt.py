"""The broker's address: with a password of any characters, or refused in one line."""

import asyncio
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from service.mqtt import Broker, BrokerError
from tests.service.mosquitto import running_mosquitto


def test_a_password_of_any_characters_is_handed_on(tmp_path: Path) -> None:
    password = "p@ss/wörd:#?%"

    async def said(port: int) -> str:
        async with Broker.parse(f"mqtt://reid:{quote(password, safe='')}@127.0.0.1:{port}").client() as connection:
            await connection.subscribe("here")
            await connection.publish("here", "ada")
            async for message in connection.messages:
                return message.payload.decode()
        raise AssertionError("no message")

    with running_mosquitto(tmp_path, password=password) as port:
        assert asyncio.run(said(port)) == "ada"


@pytest.mark.parametrize(
    "text", ["mosquitto:1883", "mosquitto", "mqtts://host", "mqtt://", "mqtt://host:99999", "mqtt://host/topic", ""]
)
def test_what_is_no_brokers_address_is_refused(text: str) -> None:
    with pytest.raises(BrokerError, match=re.escape("expected a broker as mqtt://[USER:PASSWORD@]HOST[:PORT], got ")):
        Broker.parse(text)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(BrokerError) as refused:
        Broker.parse("http://reid:secret@host")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(Broker.parse("mqtt://reid:secret@host"))
