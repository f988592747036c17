"""The REST API, called in the process as the caller: the console has no other way into the domain."""

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
"""Seconds between two looks at a document that is behind the log."""


class Document(dict[str, Any]):
    """An object of an answer; a field that it may have, and has not, is ``None``."""

    def __missing__(self, name: str) -> None:
        return None


class Refused(Exception):
    """What the API answered instead: its status, its own words, and what is wrong with which field."""

    def __init__(
        self, status: int, code: str, message: str, faults: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.faults = faults


class Api:
    """The API, for one caller; what is asked after a command shows what it did."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._transport = httpx.ASGITransport(app)
        self._headers = dict(headers)

    async def get(self, path: str, **query: str | int) -> Any:
        """A query's answer.

        Raises:
            Refused: there is none.
        """
        return await self._call("GET", path, {}, params=query)

    async def get_at(self, path: str, version: int) -> Any:
        """A document once it is that of a version, of which a page tells by the log; or as it is, where that
        takes long.

        Raises:
            Refused: there is none.
        """
        for pause in (*_PAUSES, None):
            answer = await self._asked("GET", path, {})
            shown = answer.headers.get("etag", "").strip('"')
            if pause is None or not shown.isdecimal() or int(shown) >= version:
                break
            await asyncio.sleep(pause)
        return self._told(answer)

    async def post(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """A command's answer; it has the effect of one however often it is sent under this key.

        Raises:
            Refused: it was not carried out.
        """
        return await self._call("POST", path, {"Idempotency-Key": key.encode()}, json=body)

    async def delete(self, path: str, key: str) -> Any:
        """As :meth:`post`, of what takes something back."""
        return await self._call("DELETE", path, {"Idempotency-Key": key.encode()})

    async def settle(self, path: str, **query: str | int) -> None:
        """Wait a while until a query shows what was done, for the page that comes next.

        What it is answered is no refusal of what was done.
        """
        with suppress(Refused):
            await self.get(path, **query)

    async def probe(self, path: str) -> Any:
        """What a probe outside the API tells, whether or not all is well."""
        async with httpx.AsyncClient(transport=self._transport, base_url="http://api") as client:
            return (await client.get(path)).json(object_hook=Document)

    def passed(self, path: str, query: str = "") -> Response:
        """A query's answer as it is, for the visitor; also one without an end."""
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
