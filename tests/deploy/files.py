"""The files of deploy/, read as the tools that take them would."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from config.main import CommandLineActions
from config.settings import DEFAULT_FILE
from interfaces.cli import command_line
from tests.deploy import dockerfile
from tests.yaml_files import document_in, documents_in

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"

Manifest = dict[str, Any]

OPENAPI: Manifest = document_in(ROOT / "openapi.yaml")
DEFAULTS: Manifest = document_in(DEFAULT_FILE)
SHUTDOWN_SECONDS: float = DEFAULTS["server"]["shutdown_seconds"]
PORT = 3051
"""The platform's (wire contract, section 3)."""

KNOWN = frozenset(re.findall(r"\$\{(\w+)", DEFAULT_FILE.read_text()))
"""Every variable that the service reads."""

COMMANDS = frozenset(command_line(CommandLineActions(), "0").commands)
"""What the command line can be told."""

IMAGE = "workflow-orchestrator"
GIVEN = {
    "JWT_SECRET": "a-secret-of-at-least-thirty-two-bytes",
    "POSTGRES_OWNER_PASSWORD": "owners",
    "POSTGRES_SERVICE_PASSWORD": "services",
    "RABBITMQ_PASSWORD": "brokers",
}
"""A filled deploy/.env."""


class Missing(Exception):
    """What compose would stop with."""


def image_environment() -> dict[str, str]:
    """What the image sets by itself."""
    return {name: value for name, value in dockerfile.environment(_last_stage()).items() if name in KNOWN}


def image_user() -> int:
    """The image's user, a number."""
    return int(dockerfile.only(_last_stage(), "USER").text.split(":")[0])


def compose() -> Manifest:
    """compose.yaml, with its merges."""
    document: Manifest = document_in(DEPLOY / "compose.yaml")
    return document


def compose_environment(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """What a container of compose's sees, with ``given`` in .env. Raises ``Missing``."""
    declared: dict[str, Any] = compose()["services"][service]["environment"]
    return {
        **image_environment(),
        **{name: interpolated(str(text), given) for name, text in declared.items()},
    }


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Compose's ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?what to do}``."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if found := given.get(match["name"]):
            return found
        if match["kind"] == ":-":
            return match["more"]
        raise Missing(f"{match['name']}: {match['more']}")

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<more>[^}]*))?\}", value, text)


def manifests(*folders: str) -> Iterator[tuple[Path, Manifest]]:
    """Every Kubernetes object in files of these folders of deploy/kubernetes, kustomizations aside."""
    for folder in folders:
        for path in sorted((KUBERNETES / folder).glob("*.yaml")):
            if path.name != "kustomization.yaml":
                yield from ((path, each) for each in documents_in(path))


def replicas() -> dict[str, int]:
    """How many pods each Deployment asks for."""
    objects = (each for _, each in manifests("base") if each["kind"] == "Deployment")
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in objects}


def workloads() -> dict[str, Manifest]:
    """Each pod's template by the name of its Deployment, Job or CronJob."""
    found = {}
    for _, each in manifests("base", "migrate", "optional"):
        if each["kind"] in ("Deployment", "Job", "CronJob"):
            of = each["spec"]["jobTemplate"] if each["kind"] == "CronJob" else each
            found[each["metadata"]["name"]] = of["spec"]["template"]["spec"]
    return found


def example_secrets() -> dict[str, dict[str, str]]:
    """The example Secrets by name."""
    documents = documents_in(KUBERNETES / "secrets.example.yaml")
    return {each["metadata"]["name"]: each["stringData"] for each in documents}


def config_map() -> dict[str, str]:
    """The generated ConfigMap."""
    kustomization = document_in(KUBERNETES / "base" / "kustomization.yaml")
    (generator,) = kustomization["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


def pod_environment(workload: str) -> dict[str, str]:
    """What a pod's container sees, with the example Secrets."""
    (container,) = workloads()[workload]["containers"]
    environ = image_environment()
    for source in container["envFrom"]:
        if "configMapRef" in source:
            environ |= config_map()
        else:
            environ |= example_secrets()[source["secretRef"]["name"]]
    return environ | {each["name"]: each["value"] for each in container.get("env", ())}


def seconds(duration: str) -> float:
    """Compose's and Docker's ``1m30s``."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", duration))


def _last_stage() -> dockerfile.Stage:
    return dockerfile.stages()[-1]
