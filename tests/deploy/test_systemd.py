"""The unit of systemd, without one: what it names is there, and its settings are the service's."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from service.settings import refuse_unknown_names

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "reid.service"


@pytest.fixture
def section() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(delimiters="=")
    # Names keep their capitals: configparser's documented way, which its types do not know.
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    return unit["Service"]


def test_it_starts_the_service_where_it_may_write(section: configparser.SectionProxy) -> None:
    program, *arguments = section["ExecStart"].split()
    assert (Path(program).name, arguments) == ("reid-service", ["serve"])
    name, _, home = section["Environment"].partition("=")
    refuse_unknown_names({name: home})
    assert home == f"/var/lib/{section['StateDirectory']}"
    assert section["User"] != "root"
    assert section["ProtectSystem"] == "strict"  # all else is read-only


def test_systemd_understands_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    (tmp_path / "reid-service").write_text("#!/bin/sh\n")
    (tmp_path / "reid-service").chmod(0o755)
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/reid/bin", str(tmp_path)))
    checked = subprocess.run([analyze, "verify", "--man=no", here], capture_output=True, text=True, check=False)
    assert (checked.stdout + checked.stderr, checked.returncode) == ("", 0)
