"""What Home Assistant is told of people, as retained MQTT messages of its discovery.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from service.schemas.persons import PersonOut

ONLINE, OFFLINE = "online", "offline"
_NOWHERE = "unknown"  # a camera that nobody named
_DEVICE = {"identifiers": ["reid-service"], "name": "Person re-identification", "model": "reid-service"}


@dataclass(frozen=True)
class Topics:
    """Where messages go. What stands below :attr:`patterns` is ours alone."""

    discovery: str = "homeassistant"
    own: str = "reid"

    @property
    def availability(self) -> str:
        """Whether somebody keeps the states up to date."""
        return f"{self.own}/availability"

    @property
    def patterns(self) -> tuple[str, str]:
        """Every topic of a person, as subscriptions."""
        return self._config("+"), self._state("+")

    def messages(self, people: Iterable[PersonOut]) -> dict[str, str]:
        """Payloads by topic: for everybody with a name a sensor, and its state once they were seen.

        Topics hold a hash of the person_id, which may hold what topics may not.
        """
        told: dict[str, str] = {}
        for person in people:
            if person.name is None:
                continue
            ident = hashlib.sha256(person.person_id.encode()).hexdigest()[:16]
            told[self._config(ident)] = json.dumps(self._sensor(person.name, ident))
            if (last := person.last_seen) is not None:
                state = {
                    "camera": last.camera_id or _NOWHERE,
                    "captured_at": last.captured_at.isoformat(),
                    "person_id": person.person_id,
                    "sighting_id": last.sighting_id,
                }
                told[self._state(ident)] = json.dumps(state)
        return told

    def _sensor(self, name: str, ident: str) -> dict[str, object]:
        state = self._state(ident)
        return {
            "name": name,
            "unique_id": f"reid-{ident}",
            "icon": "mdi:account-eye",
            "state_topic": state,
            "value_template": "{{ value_json.camera }}",
            "json_attributes_topic": state,
            "availability_topic": self.availability,
            "device": _DEVICE,
        }

    def _config(self, ident: str) -> str:
        return f"{self.discovery}/sensor/reid/{ident}/config"

    def _state(self, ident: str) -> str:
        return f"{self.own}/person/{ident}"
