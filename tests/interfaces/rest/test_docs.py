"""The page of the contract: complete, from this service alone, and nothing beside it."""

import re
from pathlib import Path

import httpx
import pytest
import yaml
from starlette.applications import Starlette

from interfaces.rest import docs
from interfaces.rest.docs import ASSETS, contract, docs_routes

pytestmark = pytest.mark.anyio


def client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=docs_routes()))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.mark.parametrize(("name", "version"), [("openapi", "3.1."), ("asyncapi", "3.0.")])
async def test_a_contract_is_served_as_it_stands_at_the_root_of_the_project(name: str, version: str) -> None:
    async with client() as browser:
        response = await browser.get(f"/{name}.yaml")
    assert response.headers["content-type"] == "application/yaml"
    assert response.headers["cache-control"] == "no-cache"
    assert response.content == (Path(__file__).parents[3] / f"{name}.yaml").read_bytes()
    assert yaml.safe_load(response.content)[name].startswith(version)


async def test_everything_that_the_page_asks_for_is_there() -> None:
    async with client() as browser:
        page = (await browser.get("/docs")).text
        asked_for = re.findall(r'(?:src|href)="([^":]+)"', page)
        assert len(asked_for) == 5
        for path in asked_for:
            response = await browser.get(f"/{path}")
            assert response.status_code == 200
            assert response.content


async def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script_of_its_own() -> None:
    async with client() as browser:
        response = await browser.get("/docs")
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"https?://", response.text)
    assert not re.search(r"<script(?![^>]* src=)", response.text)


@pytest.mark.parametrize(("name", "media_type"), ASSETS.items())
async def test_each_file_has_its_own_type_and_may_be_kept(name: str, media_type: str) -> None:
    async with client() as browser:
        response = await browser.get(f"/docs/{name}")
    assert response.headers["content-type"].startswith(media_type)
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs/swagger-ui.js", "/docs/index.html", "/docs/%2e%2e/core.py"])
async def test_no_other_file_is_served(path: str) -> None:
    async with client() as browser:
        response = await browser.get(path)
    assert response.status_code == 404


async def test_an_installed_service_serves_the_contract_beside_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openapi.yaml").write_bytes(b"openapi: 3.1.0")
    monkeypatch.setattr(docs, "files", lambda package: tmp_path)
    assert contract("openapi.yaml") == b"openapi: 3.1.0"


async def test_without_swagger_ui_the_service_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="swagger-ui-py"):
        docs_routes()
