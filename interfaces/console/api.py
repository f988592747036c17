"""The REST API, called in the process as the caller: the console has no other way into the domain."""

from collections.abc import Mapping
from typing import Any

import httpx
from starlette.types import ASGIApp


class Document(dict[str, Any]):
    """An object of an answer; a field that it may have, and has not, is ``None``."""

    def __missing__(self, name: str) -> None:
        return None


class Refused(Exception):
    """What the API answered instead: its status, and its own words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Api:
    """The API, for one caller; what is asked after a command shows what it did."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._transport = httpx.ASGITransport(app)
        self._headers = dict(headers)

    async def get(self, path: str, **query: str | int) -> Any:
        """A query's answer.

        Raises:
            Refused: there is none.
        """
        return await self._call("GET", path, {}, params=query)

    async def post(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """A command's answer; it has the effect of one however often it is sent under this key.

        Raises:
            Refused: it was not carried out.
        """
        return await self._call("POST", path, {"Idempotency-Key": key}, json=body)

    async def _call(self, method: str, path: str, own: Mapping[str, str], **what: Any) -> Any:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://api") as client:
            answer = await client.request(method, f"/api/v1{path}", headers={**self._headers, **own}, **what)
        content = answer.json(object_hook=Document)
        if answer.is_error:
            error = content["error"]
            raise Refused(answer.status_code, error["code"], error["message"])
        if position := answer.headers.get("x-position"):
            self._headers["X-Min-Position"] = position
        return content
