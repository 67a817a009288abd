"""The image's Dockerfile, without an engine: linted, its wheel whole, its command and health check run."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.child import environment, free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
TEXT = DOCKERFILE.read_text().replace("\\\n", "")
PACKAGES = ("reid", "service", "trainer")
DEADLINE_S = 180


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", TEXT, flags=re.MULTILINE)


def test_the_dockerfile_is_clean() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this processor")
    linted = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (linted.stdout, linted.returncode) == ("", 0)


def test_what_is_copied_is_there_and_travels_to_the_builder() -> None:
    copied = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    assert {*PACKAGES, "pyproject.toml", "constraints.txt"} <= set(copied)
    travels = (ROOT / ".dockerignore").read_text().split()
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in travels


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel is installed that is built from those files alone, as the image builds it."""
    source, built, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheel", "site"))
    for name in ("constraints.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", built, source], check=True)
    (wheel,) = built.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)
    return target


def test_the_wheel_brings_every_file(site: Path) -> None:
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    names = [path.relative_to(ROOT) for path in files if "__pycache__" not in path.parts]
    assert [name for name in names if not (site / name).is_file()] == []


def test_the_image_serves_and_its_health_check_sees_it(site: Path, tmp_path: Path) -> None:
    said = dict(pair.split("=", 1) for line in instructions("ENV") for pair in line.split())
    assert said["REID_HOST"] == "0.0.0.0"
    port = free_port(0)
    settings = {name: value for name, value in said.items() if name.startswith("REID_")}
    settings |= {"REID_HOME": str(tmp_path / "data"), "REID_PORT": str(port), "PYTHONPATH": str(site)}
    (entry,), (command,) = (json.loads(instructions(name)[-1]) for name in ("ENTRYPOINT", "CMD"))
    health = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    asked = [sys.executable, *(word.replace(":8000", f":{port}") for word in health[1:])]
    with (tmp_path / "log").open("w") as log:
        served = subprocess.Popen(
            [sys.executable, str(site / "bin" / entry), command],
            env=environment(tmp_path / "data", settings),
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while subprocess.run(asked, capture_output=True, check=False).returncode != 0:
            assert served.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
    finally:
        served.terminate()
        assert served.wait(DEADLINE_S) == 0
    assert (tmp_path / "data" / "gallery.sqlite").is_file()
