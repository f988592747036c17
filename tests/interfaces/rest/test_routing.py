"""Which route a path leads to."""

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

from interfaces.rest.routing import PreparedRouter

pytestmark = pytest.mark.anyio


async def tell(request: Request) -> Response:
    """The route's own path, and what its names stand for."""
    return PlainTextResponse(f"{request.scope['route'].path} {request.path_params}")


ROUTER = PreparedRouter(
    [
        Route("/things", tell, methods=["GET"]),
        Route("/things", tell, methods=["POST"]),
        Route("/things/all", tell, methods=["GET"]),
        Route("/things/{id}", tell, methods=["GET"]),
        Route("/things/{id}/parts/{part}", tell, methods=["PUT"]),
        Route("/causes/{id:path}", tell, methods=["GET"]),
    ]
)


async def answer(method: str, path: str) -> str:
    """The body that the router answers with."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}
    await ROUTER(scope, receive, send)
    body: bytes = sent[1]["body"]
    return body.decode()


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/things", "/things {}"),
        ("POST", "/things", "/things {}"),
        ("GET", "/things/all", "/things/all {}"),
        ("GET", "/things/7", "/things/{id} {'id': '7'}"),
        ("GET", "/things/{}", "/things/{id} {'id': '{}'}"),
        ("HEAD", "/things/7", "/things/{id} {'id': '7'}"),
        ("GET", "/causes/crm/20/17", "/causes/{id:path} {'id': 'crm/20/17'}"),
        ("GET", "/causes//17", "/causes/{id:path} {'id': '/17'}"),
        ("PUT", "/things/7/parts/8", "/things/{id}/parts/{part} {'id': '7', 'part': '8'}"),
    ],
)
async def test_a_path_leads_to_its_route(method: str, path: str, told: str) -> None:
    assert await answer(method, path) == told


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/thing",
        "/things/",
        "/things//parts/8",
        "/things/7/parts",
        "/things/7/parts/8/",
        "/things/all/parts/8",
        "//things",
        "/things\n",
    ],
)
async def test_another_path_leads_nowhere(path: str) -> None:
    with pytest.raises(HTTPException) as refused:
        await answer("GET", path)
    assert refused.value.status_code == 404


async def test_a_method_that_the_path_does_not_have_is_told_which_it_has() -> None:
    with pytest.raises(HTTPException) as refused:
        await answer("DELETE", "/things")
    assert refused.value.status_code == 405
    assert refused.value.headers == {"Allow": "GET, HEAD, POST"}
