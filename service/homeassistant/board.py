"""The broker's retained messages that are ours, brought to what they should be."""

from collections.abc import Mapping

import aiomqtt


class Board:
    """What a broker retains below our topics, as it says itself: whoever comes back finds what was left there.

    Feed it every message of the subscription with :meth:`heard`.
    """

    def __init__(self, connection: aiomqtt.Client) -> None:
        self._connection = connection
        self._held: dict[str, str] = {}

    def heard(self, topic: str, payload: str) -> bool:
        """Note what the broker holds; whether that is news."""
        if self._held.get(topic, "") == payload:
            return False
        self._hold(topic, payload)
        return True

    async def settle(self, wanted: Mapping[str, str]) -> None:
        """Publish what is missing or differs, and take down what is not wanted. Raises MqttError."""
        for topic in sorted(self._held.keys() | wanted.keys()):
            payload = wanted.get(topic, "")  # an empty one deletes what is retained
            if self._held.get(topic, "") != payload:
                await self._connection.publish(topic, payload, qos=1, retain=True)
                self._hold(topic, payload)

    def _hold(self, topic: str, payload: str) -> None:
        if payload:
            self._held[topic] = payload
        else:
            self._held.pop(topic, None)
