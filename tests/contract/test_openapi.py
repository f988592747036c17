"""openapi.yaml and the service: the same routes."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from interfaces.rest.docs import docs_routes
from tests.contract.contract import operations
from tests.harness import service, settings_in


@pytest.mark.anyio
async def test_every_route_of_the_contract_is_served_and_every_route_served_stands_in_it(
    tmp_path: Path,
) -> None:
    async with service(settings_in(tmp_path)) as running:
        routes = running.container.app.routes
        served = {
            (method, _shape(route.path_format))
            for route in routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }
        assert all(isinstance(route, Route) for route in routes)
    pages = {each for each in served if f"{each[1]}/".startswith("/console/")}
    assets = {("GET", route.path) for route in docs_routes() if route.path.startswith("/docs/")}
    assert served - assets - pages == {(each.method.upper(), _shape(each.path)) for each in operations()}


def _shape(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)
