"""The demo's own home: free, and with a key to it."""

import os
import subprocess
import time
from pathlib import Path

from service.child import COMMAND, STOP_S, ChildError, environment, last_line
from service.gallery.errors import HomeError
from service.gallery.home import Home
from service.keys import SCOPES

_PASSED_ON = ("REID_BUNDLE", "REID_DEVICE")


def settings() -> dict[str, str]:
    """What of our own settings the demo's service shares."""
    return {"REID_AUTH": "keys"} | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def wait_for_home(home: Path) -> None:
    """Make sure that no service holds `home`; one whose demo was killed a moment ago is given time to end.

    Raises HomeError if it does not end in that time.
    """
    deadline = time.monotonic() + STOP_S
    while True:
        try:
            Home(home).close()
        except HomeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def key_file(home: Path) -> Path:
    """Where the demo keeps its API key: in the home, so that both are deleted together."""
    return home / "demo.key"


def make_key(home: Path, log: Path) -> str:
    """The demo's API key: made by the service's own command the first time, read from its file afterwards.

    It may do everything: every page of the console is to be tried, and the gallery is the demo's own.
    """
    path = key_file(home)
    if not path.exists():
        command = [*COMMAND, "keys", "create", *(word for scope in sorted(SCOPES) for word in ("--scope", scope))]
        with log.open("w") as errors:
            made = subprocess.run(
                command,
                env=environment(home, settings()),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                check=False,
            )
        if made.returncode != 0:
            raise ChildError(f"expected a key, but `keys create` failed: {last_line(log)}")
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(made.stdout.strip())
        new.replace(path)
    return path.read_text()
