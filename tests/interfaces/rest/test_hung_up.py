"""A client that hangs up in the middle of its body: no fault of the service, and nobody to be answered."""

import pytest
from starlette.types import Message

from tests.harness import TENANT, Service

pytestmark = pytest.mark.anyio


async def test_who_hangs_up_in_its_body_is_counted_as_gone(behind_gateway: Service) -> None:
    sent: list[Message] = []
    come: list[Message] = [
        {"type": "http.request", "body": b'{"opportunityId"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return come.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = {"host": "localhost", "x-tenant-id": TENANT, "content-type": "application/json"}
    await behind_gateway.container.app(
        {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/api/v1/workflows",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        },
        receive,
        send,
    )
    assert sent == []
    async with behind_gateway.client() as client:
        counted = (await client.get("/metrics")).text
    line = 'http_requests_total{method="POST",route="/api/v1/workflows",status="499"} 1.0'
    assert line in counted
