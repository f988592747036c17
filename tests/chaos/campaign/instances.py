"""Instances of the service as processes: killed, frozen, on a wrong clock, and always started again."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx

from tests.chaos.campaign.evidence import Evidence
from tests.harness import ServiceProcess
from tests.plain_http import NO_TLS
from tests.services import lasting_port

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SKEWED = Path(__file__).with_name("skewed")
AFTER_AN_END_SECONDS = 1.0


class Clock:
    """The clock of one instance, under libfaketime: what the file says is its distance from the truth.

    The monotonic clock stays as it is, as it does when a real clock is set. libfaketime's mending of waits on
    it is for another glibc: here every wait for Python's lock would end at once, and a busy process would do
    little else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set("+0")

    def set(self, offset: str) -> None:
        """Set it, as libfaketime writes it: ``+3h``, ``-3h``, ``+0``."""
        self._file.write_text(offset)

    def environ(self) -> dict[str, str]:
        """What puts a process on this clock."""
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": f"{SKEWED}:{Path.cwd()}",
        }


class Instance:
    """A process that somebody starts again whenever it has ended, as an orchestrator of containers would."""

    def __init__(
        self,
        number: int,
        folder: Path,
        evidence: Evidence,
        *,
        overlay: Mapping[str, Any],
        environ: Mapping[str, str],
        clock: Clock | None,
    ) -> None:
        self.number = number
        self.clock = clock
        self.kills = 0
        self.ended_by_itself = 0
        self._evidence = evidence
        own_clock = clock.environ() if clock else {}
        self._process = ServiceProcess(folder, overlay=overlay, **{**environ, **own_clock})
        self._process.port = lasting_port()
        self._wanted = True
        self._launched = False
        self._not_before = 0.0

    @property
    def url(self) -> str:
        """Where it serves."""
        return self._process.url

    @property
    def log(self) -> str:
        """What it has logged over all its lives."""
        return self._process.log

    async def keep_running(self) -> None:
        """Start it, and again whenever it has ended."""
        while True:
            if self._wanted and not self._process.is_running and time.monotonic() >= self._not_before:
                if self._launched:
                    self.ended_by_itself += 1
                    last_words = self.log.rstrip().rpartition("\n")[2][:300]
                    self._evidence.note_fault("ended by itself", f"instance {self.number}: {last_words}")
                    self._launched, self._not_before = False, time.monotonic() + AFTER_AN_END_SECONDS
                    continue
                self._process.launch()
                self._launched = True
            await anyio.sleep(0.02)

    def kill(self, down_seconds: float) -> bool:
        """kill -9, and let it be down for a while; whether there was anything to kill."""
        if not self._process.is_running:
            return False
        self._process.kill()
        self._launched = False
        self._not_before = time.monotonic() + down_seconds
        self.kills += 1
        self._evidence.note_fault("kill -9", f"instance {self.number}")
        return True

    async def restart(self) -> None:
        """SIGTERM, as at a deployment, and a start."""
        if self._process.is_running:
            self._launched = False
            with contextlib.suppress(subprocess.TimeoutExpired):
                await anyio.to_thread.run_sync(self._process.terminate)

    def freeze(self) -> None:
        """SIGSTOP."""
        if self._process.is_running:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process.is_running:
            self._process.send_signal(signal.SIGCONT)

    async def until_launched(self) -> None:
        """Wait until there is a process again."""
        while not self._process.is_running:
            await anyio.sleep(0.02)

    async def health(self) -> dict[str, Any]:
        """What ``/health`` says; nothing, where nobody answers."""
        return await self._get("/health")

    async def is_ready(self) -> bool:
        """Whether all is up, and every follower runs here or stands by for another instance's."""
        said = await self._get("/ready")
        followers = said.get("checks", {}).get("followers", [{}])
        return said.get("status") == "ready" and all(
            each.get("status") in ("running", "standby") for each in followers
        )

    async def end(self, timeout: float = 25) -> int:
        """SIGTERM, for good; the exit code."""
        self._wanted = False
        if not self._process.is_running:
            return -1
        return await anyio.to_thread.run_sync(lambda: self._process.terminate(timeout))

    def stop(self) -> None:
        """End it in any case."""
        self._wanted = False
        self._process.stop()

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=5, verify=NO_TLS) as client:
                answer: dict[str, Any] = (await client.get(self.url + path)).json()
                return answer
        except (httpx.HTTPError, ValueError):
            return {}
