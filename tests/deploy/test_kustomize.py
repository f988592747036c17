"""What kustomize makes of deploy/kubernetes; kubectl has it in it, and needs no cluster for that."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.deploy.files import KUBERNETES, Manifest, config_map, manifests
from tests.deploy.test_kubernetes import NEWEST
from tests.services import missing
from tests.yaml_files import document_in

OLDEST_FOR_OVERLAYS = (1, 21)
"""Debian 12 has 1.20, whose kustomize takes no folder as a resource."""


@pytest.fixture(scope="module")
def kubectl() -> str:
    """The program."""
    found = shutil.which("kubectl")
    if found is None:
        missing("kubectl (Debian: kubernetes-client)")
    return found


def rendered(kubectl: str, folder: str) -> list[Manifest]:
    """What becomes of a folder, without a word of warning, and of a form that Kubernetes takes."""
    made = subprocess.run(
        [kubectl, "kustomize", str(KUBERNETES / folder)], capture_output=True, text=True, timeout=60
    )
    assert (made.returncode, made.stderr) == (0, "")
    objects = [*yaml.safe_load_all(made.stdout)]
    for each in objects:
        kubernetes_validate.validate(each, NEWEST, strict=True)
    return objects


def names(objects: Iterator[Manifest] | list[Manifest]) -> set[tuple[str, str]]:
    """Kind and name of each."""
    return {(each["kind"], each["metadata"]["name"]) for each in objects}


def containers(objects: list[Manifest]) -> Iterator[Manifest]:
    """The containers of every Deployment and Job."""
    for each in objects:
        if each["kind"] in ("Deployment", "Job"):
            yield from each["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize("folder", ["base", "migrate"])
def test_a_kustomization_names_every_file_beside_it(folder: str) -> None:
    files = {path.name for path in (KUBERNETES / folder).glob("*.yaml")} - {"kustomization.yaml"}
    kustomization = document_in(KUBERNETES / folder / "kustomization.yaml")
    assert set(kustomization["resources"]) == files


def test_a_change_of_the_configuration_is_a_rollout(kubectl: str) -> None:
    objects = rendered(kubectl, "base")
    ((kind, name),) = names(objects) - names(each for _, each in manifests("base"))
    assert kind == "ConfigMap"
    assert name.startswith("workflow-orchestrator-")
    read = [
        source["configMapRef"]["name"]
        for container in containers(objects)
        for source in container["envFrom"]
        if "configMapRef" in source
    ]
    assert read == [name, name]


def test_a_rebuild_in_an_overlay_reads_the_configuration_of_its_release(kubectl: str, tmp_path: Path) -> None:
    """As this kubectl takes no folder as a resource, in a copy of the base instead of an overlay."""
    copied = tmp_path / "base"
    shutil.copytree(KUBERNETES / "base", copied)
    shutil.copy(KUBERNETES / "optional" / "rebuild.yaml", copied)
    kustomization = document_in(copied / "kustomization.yaml")
    kustomization["resources"].append("rebuild.yaml")
    kustomization["images"] = [{"name": "workflow-orchestrator", "newTag": "0.2.0"}]
    (copied / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    objects = rendered(kubectl, str(copied))
    (made,) = [each["metadata"]["name"] for each in objects if each["kind"] == "ConfigMap"]
    (rebuild,) = [each for each in objects if each["kind"] == "CronJob"]
    (container,) = rebuild["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"][0] == {"configMapRef": {"name": made}}
    assert container["image"] == "workflow-orchestrator:0.2.0"


def test_the_migration_is_a_step_of_its_own(kubectl: str) -> None:
    assert names(rendered(kubectl, "migrate")) == names(each for _, each in manifests("migrate"))


def test_the_example_overlay_sets_namespace_image_and_account(kubectl: str) -> None:
    said = subprocess.run([kubectl, "version", "--client", "-o", "yaml"], capture_output=True, text=True)
    version = yaml.safe_load(said.stdout)["clientVersion"]
    if (int(version["major"]), int(version["minor"].rstrip("+"))) < OLDEST_FOR_OVERLAYS:
        pytest.skip("kubectl 1.21 OR NEWER IS NEEDED for overlays")
    objects = rendered(kubectl, "example") + rendered(kubectl, "example/migrate")
    assert {each["metadata"]["namespace"] for each in objects} == {"workflow-orchestrator"}
    assert {each["image"] for each in containers(objects)} == {
        "registry.example.com/platform/workflow-orchestrator:0.1.0"
    }
    (data,) = [each["data"] for each in objects if each["kind"] == "ConfigMap"]
    assert data.keys() == config_map().keys()
    assert data["COSMOS_DB_ENDPOINT"] != config_map()["COSMOS_DB_ENDPOINT"]
