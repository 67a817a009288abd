"""The manifests: each valid for the API it names, and true to the service."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.routes import ROUTERS
from service.settings import Settings, variable

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
FILES = sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_kustomization_names_every_manifest() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == FILES


@pytest.mark.parametrize("name", FILES)
def test_each_manifest_is_valid(name: str) -> None:
    kubernetes_validate.validate(read(name), "1.30", strict=True)


def test_the_pod_fits_the_service() -> None:
    deployment, service, claim = read("deployment.yaml"), read("service.yaml"), read("volume.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["enableServiceLinks"] is False
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
    assert {entry["name"] for entry in container["env"]} <= {variable(name) for name in Settings.model_fields}
    paths = {route.path for router in ROUTERS for route in router.routes}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in paths
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["image"] in {image["name"] for image in KUSTOMIZATION["images"]}
