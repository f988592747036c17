"""Requests to an outside service while the clock is watched. When they stop, that service raises the alarm.

Nothing in here can report its own silence: a process that has died serves no metrics, and an alert manager in
the same cluster may have died with it. So whoever expects the requests is the one who misses them.

A request means that the holder of the lease watches the clock, that no firing is stuck, and that the event
store has just answered. While that is not true none is sent, and the next one is sent when it is true again.
The address may contain a secret, so only its host is ever shown.
"""

import ssl
from collections.abc import Awaitable, Callable

import anyio
import httpx
import structlog

from domain.errors import Failure

EVERY_SECONDS = 60.0

TIMEOUT_SECONDS = 10.0
"""For one request as a whole, from the name's look-up to the answer's first line."""

LOOK_AGAIN_SECONDS = 5.0
"""How soon to check again while the scheduler is not well."""

log = structlog.get_logger(__name__)


class Heartbeat:
    """Requests an address every minute. It raises nothing, because the scheduler must not depend on who
    listens."""

    def __init__(
        self,
        url: str,
        ping: Callable[[], Awaitable[None]],
        count: Callable[[bool], None],
        *,
        user_agent: str,
        every_seconds: float = EVERY_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._url = httpx.URL(url)
        self._ping = ping
        self._count = count
        self._user_agent = user_agent
        self._every_seconds = every_seconds
        self._timeout_seconds = timeout_seconds
        self._ssl = ssl.create_default_context() if self._url.scheme == "https" else None
        self._fault: str | None = None

    async def run(self, is_well: Callable[[], bool]) -> None:
        """Send requests until cancelled, as long as the scheduler ``is_well``."""
        look_again_seconds = min(LOOK_AGAIN_SECONDS, self._every_seconds)
        while True:
            while (why := await self._why_not(is_well)) is not None:
                self._note(why)
                await anyio.sleep(look_again_seconds)
            begun = anyio.current_time()
            fault = await self._beat()
            self._count(fault is None)
            self._note(fault)
            await anyio.sleep(max(0.0, begun + self._every_seconds - anyio.current_time()))

    async def _why_not(self, is_well: Callable[[], bool]) -> str | None:
        """Return why no request is sent now. A failure in here means silence outside, and nothing more."""
        try:
            await self._ping()
            return None if is_well() else "held back: firings wait for longer than a minute"
        except Failure as failure:
            return f"held back: {failure}"
        except Exception as error:
            return f"held back: {type(error).__name__}: {error}"

    async def _beat(self) -> str | None:
        """Return what was wrong with a request, without the address, which the client's errors may quote."""
        try:
            with anyio.fail_after(self._timeout_seconds):
                status = await self._status()
        except TimeoutError:
            return f"no answer within {self._timeout_seconds:g} s"
        except Exception as error:
            return f"no answer: {type(error).__name__}"
        if 300 <= status < 400:
            return f"answered {status}: redirects are not followed"
        return None if 200 <= status < 300 else f"answered {status}"

    async def _status(self) -> int:
        async with (
            httpx.AsyncClient(
                timeout=None,  # noqa: S113 - a beat is bounded as a whole
                follow_redirects=False,
                trust_env=False,
                verify=self._ssl or False,
            ) as client,
            client.stream("GET", self._url, headers={"User-Agent": self._user_agent}) as response,
        ):
            return response.status_code

    def _note(self, fault: str | None) -> None:
        """Log a change, not each request."""
        if fault == self._fault:
            return
        if fault is None:
            log.info("heartbeat_answered_again", host=self._url.host)
        else:
            log.warning("heartbeat_failing", host=self._url.host, reason=fault)
        self._fault = fault
