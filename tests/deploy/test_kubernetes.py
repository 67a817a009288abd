"""The manifests: each valid for the API it names, and true to the service and to one another."""

from contextlib import closing
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.gallery.redis.address import RedisAddress
from service.gallery.redis.link import Link
from service.routes import ROUTERS
from service.settings import Settings, variable
from tests.deploy.test_compose import SERVICES
from tests.redis_server import RedisServer

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
PATHS = sorted(path for path in FOLDER.glob("*/*.yaml") if path.name != "kustomization.yaml")


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def pod(name: str) -> Any:
    return read(name)["spec"]["template"]["spec"]


def test_the_kustomizations_name_every_manifest_once() -> None:
    named = []
    for folder in ("single", "replicas"):
        kustomization = read(f"{folder}/kustomization.yaml")
        listed = [*kustomization["resources"], *(patch["path"] for patch in kustomization.get("patches", []))]
        named += [FOLDER / folder / name for name in listed if name != "../single"]
    assert sorted(named) == PATHS
    assert "../single" in read("replicas/kustomization.yaml")["resources"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_manifest_is_valid(path: Path) -> None:
    if path == FOLDER / "replicas" / "reid.yaml":  # a patch: whole only with what it changes
        patched = read("single/reid.yaml")
        patched["spec"]["template"]["spec"]["containers"][0]["env"] += pod("replicas/reid.yaml")["containers"][0]["env"]
        patched["spec"]["template"]["spec"]["affinity"] = pod("replicas/reid.yaml")["affinity"]
        kubernetes_validate.validate(patched, "1.30", strict=True)
    else:
        kubernetes_validate.validate(yaml.safe_load(path.read_text()), "1.30", strict=True)


def test_the_pod_fits_the_service() -> None:
    stateful, service = read("single/reid.yaml"), read("single/service.yaml")
    (container,) = pod("single/reid.yaml")["containers"]
    assert pod("single/reid.yaml")["enableServiceLinks"] is False
    assert stateful["spec"]["replicas"] == 1
    assert stateful["spec"]["serviceName"] == service["metadata"]["name"]
    assert stateful["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
    assert {entry["name"] for entry in container["env"]} <= {variable(name) for name in Settings.model_fields}
    paths = {route.path for router in ROUTERS for route in router.routes}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in paths
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == container["volumeMounts"][0]["name"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["image"] in {image["name"] for image in read("single/kustomization.yaml")["images"]}


def test_replicas_share_one_redis_by_its_password(tmp_path: Path) -> None:
    """What the patch adds is for the pod that is there, and its address is one that the service can use."""
    (patch,), (container,) = pod("replicas/reid.yaml")["containers"], pod("single/reid.yaml")["containers"]
    assert patch["name"] == container["name"]
    assert read("replicas/reid.yaml")["metadata"] == {"name": read("single/reid.yaml")["metadata"]["name"]}
    secret, store = patch["env"]
    (redis,) = pod("replicas/redis.yaml")["containers"]
    assert secret["valueFrom"] == redis["env"][0]["valueFrom"]
    assert store["name"] == variable("store")
    server = RedisServer(tmp_path)
    try:
        server.client.config_set("requirepass", "secret")
        address = store["value"].replace(f"$({secret['name']})", "secret")
        assert address.endswith(f"@{read('replicas/redis-service.yaml')['metadata']['name']}")
        with closing(Link(RedisAddress.parse(address.replace("@redis", f"@127.0.0.1:{server.port}")))) as link:
            assert link.check() == "a power cut"
    finally:
        server.stop()


def test_its_redis_is_the_one_of_compose_with_a_password() -> None:
    (redis,) = pod("replicas/redis.yaml")["containers"]
    *options, flag, password = redis["args"]
    assert redis["image"] == SERVICES["redis"]["image"]
    assert ["redis-server", *options] == SERVICES["redis"]["command"]
    assert (flag, password) == ("--requirepass", f"$({redis['env'][0]['name']})")
    assert read("replicas/redis-service.yaml")["spec"]["selector"] == read("replicas/redis.yaml")["metadata"]["labels"]
