"""docker-compose.yml, without an engine: it follows the specification, and what it names is there."""

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from service.gallery.redis.link import Link
from service.settings import Settings, variable
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
BESIDE_FRIGATE = ROOT / "deploy" / "frigate" / "reid.yaml"


@pytest.mark.parametrize("path", [ROOT / "docker-compose.yml", BESIDE_FRIGATE], ids=lambda path: path.name)
def test_it_follows_the_compose_specification(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_beside_a_frigate_runs_what_runs_here() -> None:
    """The one file of Frigate's project differs in what only this one has: a build, profiles, a Redis, its networks."""
    here_alone = {"build", "profiles", "environment", "depends_on", "networks", "volumes"}
    beside = yaml.safe_load(BESIDE_FRIGATE.read_text())
    assert set(beside["services"]) == {"reid", "frigate-adapter"}
    for name, service in beside["services"].items():
        here = SERVICES[name]
        differs = {key for key in {*service, *here} if service.get(key) != here.get(key)}
        assert differs <= here_alone, name
        (volume,) = service["volumes"]
        assert volume.partition(":")[0] in beside["volumes"]
        assert volume.partition(":")[2] == here["volumes"][0].partition(":")[2]
    adapter = beside["services"]["frigate-adapter"]
    assert adapter["environment"] == SERVICES["frigate-adapter"]["environment"]


def test_the_example_sets_what_the_file_reads_and_agrees_with_its_defaults() -> None:
    read = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT))
    assert dict(line.split("=", 1) for line in EXAMPLE.splitlines() if line and not line.startswith("#")) == read


def test_every_file_that_is_mounted_or_built_from_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (ROOT / volume.split(":")[0]).exists(), volume
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_the_service_is_given_every_setting_that_is_an_operators_to_choose() -> None:
    """And no other; the image sets home and host, a port is published, a card is reid-gpu's. None: as .env says."""
    settings = {variable(name) for name in Settings.model_fields}
    settings -= {"REID_HOME", "REID_HOST", "REID_PORT", "REID_AUTH", "REID_DATASETS", "REID_DEVICE"}
    assert set(SERVICES["reid"]["environment"]) == settings
    assert set(SERVICES["reid-gpu"]["environment"]) == settings | {"REID_DEVICE"}
    for name, value in SERVICES["reid"]["environment"].items():
        assert (value is None) == (f"# {name}=" in EXAMPLE), name
    beside = yaml.safe_load(BESIDE_FRIGATE.read_text())["services"]["reid"]["environment"]
    assert set(beside) == settings - {"REID_STORE", "REID_INDEX", "REID_CROPS", "REID_REDIS_FSYNC"}
    assert set(beside.values()) == {None}


def test_nothing_runs_with_more_rights_than_it_needs_or_without_a_bound() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service, name
        for port in service.get("ports", []):
            assert ":-127.0.0.1:" in port, f"{name}: published beyond loopback by default"
        if not service["image"].startswith("reid-service"):
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), f"{name}: expected a pinned version"


def test_its_redis_is_as_durable_as_the_store_wants_it(tmp_path: Path) -> None:
    _, *flags = SERVICES["redis"]["command"]
    options = {flag.removeprefix("--"): value for flag, value in zip(flags[::2], flags[1::2], strict=True)}
    server = RedisServer(tmp_path, **options)
    try:
        with closing(Link(server.address())) as link:
            assert link.check() == "a power cut"
    finally:
        server.stop()
    assert SERVICES["redis"]["networks"] == ["store"]
    assert [name for name, one in SERVICES.items() if "store" in one.get("networks", [])] == [
        *("reid", "reid-gpu", "reid-replica", "milvus", "redis"),
    ]


def test_grafana_finds_the_dashboard_where_it_is_mounted() -> None:
    provider = yaml.safe_load((ROOT / "deploy/monitoring/grafana/dashboards/files.yaml").read_text())["providers"][0]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/reid.json" in mounted
    source = yaml.safe_load((ROOT / "deploy/monitoring/grafana/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert "prometheus" in SERVICES
