"""Calls the REST API within the process, as the caller. The console has no other access to the domain."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpx
from starlette.responses import Response
from starlette.types import ASGIApp

from interfaces.console.passing import Passed

_BASE = "/api/v1"

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to read a document that is behind the log."""


class Document(dict[str, Any]):
    """An object of a response. A field that is absent is None."""

    def __missing__(self, name: str) -> None:
        return None


class Refused(Exception):
    """An error of the API: its status, code and message, and the faults of fields. Forms of the console that
    are not valid raise it too."""

    def __init__(
        self, status: int, code: str, message: str, faults: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.faults = faults


class Api:
    """The API, for one caller. Queries after a command show its effect."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._transport = httpx.ASGITransport(app)
        self._headers = dict(headers)

    async def get(self, path: str, **query: str | int) -> Any:
        """Return a query's response.

        Raises:
            Refused: it is an error.
        """
        return await self._call("GET", path, {}, params=query)

    async def get_at(self, path: str, version: int) -> Any:
        """Return a document once it has reached a version of the log, or after some attempts as it is.

        Raises:
            Refused: the response is an error.
        """
        for pause in (*_PAUSES, None):
            answer = await self._asked("GET", path, {})
            shown = answer.headers.get("etag", "").strip('"')
            if pause is None or not shown.isdecimal() or int(shown) >= version:
                break
            await asyncio.sleep(pause)
        return self._told(answer)

    async def post(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """Send a command, and return its response. Under the same idempotency key it has an effect only once.

        Raises:
            Refused: it was not carried out.
        """
        return await self._call("POST", path, {"Idempotency-Key": key.encode()}, json=body)

    async def delete(self, path: str, key: str) -> Any:
        """Send a ``DELETE``, in the same way as :meth:`post`."""
        return await self._call("DELETE", path, {"Idempotency-Key": key.encode()})

    async def settle(self, path: str, **query: str | int) -> None:
        """Wait until a query shows the effect of the last command, for the next page. Errors are ignored,
        because the command has been carried out."""
        with suppress(Refused):
            await self.get(path, **query)

    async def probe(self, path: str) -> Any:
        """Return the response of a health check, whatever its status."""
        async with httpx.AsyncClient(transport=self._transport, base_url="http://api") as client:
            return (await client.get(path)).json(object_hook=Document)

    def passed(self, path: str, query: str = "") -> Response:
        """Return a query's response unchanged, for the visitor; it may be a stream."""
        return Passed(self._app, self._headers, f"{_BASE}{path}", query)

    async def _call(self, method: str, path: str, own: Mapping[str, bytes], **what: Any) -> Any:
        return self._told(await self._asked(method, path, own, **what))

    async def _asked(self, method: str, path: str, own: Mapping[str, bytes], **what: Any) -> httpx.Response:
        told = {name: value.encode("latin-1") for name, value in self._headers.items()}
        headers = {name.encode(): value for name, value in {**told, **own}.items()}
        async with httpx.AsyncClient(transport=self._transport, base_url="http://api") as client:
            return await client.request(method, f"{_BASE}{path}", headers=headers, **what)

    def _told(self, answer: httpx.Response) -> Any:
        content = answer.json(object_hook=Document)
        if answer.is_error:
            error = content["error"]
            details = error["details"]
            faults = details if isinstance(details, list) else ()
            raise Refused(answer.status_code, error["code"], error["message"], faults)
        if position := answer.headers.get("x-position"):
            self._headers["X-Min-Position"] = position
        return content
