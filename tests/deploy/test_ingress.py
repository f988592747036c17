"""The Ingress of the manifests against the routes of the service."""

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import PORT, manifests
from tests.harness import service, settings_in

INSIDE = {"/ready", "/metrics"}


def of_kind(kind: str) -> dict[str, Any]:
    (found,) = [each for _, each in manifests("base", "optional") if each["kind"] == kind]
    return found


def leads_to(path: str, rule: dict[str, Any]) -> bool:
    """As Kubernetes says: a prefix is one of whole segments."""
    if rule["pathType"] == "Exact":
        return path == str(rule["path"])
    return f"{path}/".startswith(f"{rule['path']}/")


@pytest.mark.anyio
async def test_it_leads_to_every_route_of_the_service_and_not_to_what_tells_of_the_inside(
    tmp_path: Path,
) -> None:
    (rule,) = of_kind("Ingress")["spec"]["rules"]
    rules = rule["http"]["paths"]
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        routes = {route.path for route in running.container.app.routes}  # type: ignore[attr-defined]
    assert {"/console", "/console/static/console.css"} <= routes
    reached = {path for path in routes if any(leads_to(path, each) for each in rules)}
    assert routes - reached == INSIDE
    assert not any(leads_to("/consolex", each) for each in rules)


def test_it_leads_to_the_service_of_the_api_with_tls_on_its_host() -> None:
    ingress, api = of_kind("Ingress")["spec"], of_kind("Service")
    (rule,), (tls,) = ingress["rules"], ingress["tls"]
    assert tls["hosts"] == [rule["host"]]
    (port,) = api["spec"]["ports"]
    assert port["port"] == PORT
    for each in rule["http"]["paths"]:
        to = each["backend"]["service"]
        assert (to["name"], to["port"]) == (api["metadata"]["name"], {"name": port["name"]})
