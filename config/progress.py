"""What a long command prints while it runs: one line on a terminal, elsewhere a line now and then."""

import sys
import time
from types import TracebackType

import click

from infrastructure.sqlite.generations import Build
from projections.building import Progress

_TERMINAL_SECONDS = 0.2
_LINES_SECONDS = 5.0


class ProgressLine:
    """Percent, events, rate, and an estimate of the time that is left."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._is_terminal = sys.stdout.isatty()
        self._shown_at = time.monotonic() if not self._is_terminal else 0.0
        self._is_open = False

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_open:
            click.echo()

    def show(self, progress: Progress) -> None:
        """Print how far it has come, unless that was printed a moment ago."""
        now = time.monotonic()
        if now - self._shown_at >= (_TERMINAL_SECONDS if self._is_terminal else _LINES_SECONDS):
            self._shown_at = now
            self.say(told(progress))

    def say(self, what: str) -> None:
        """Print something in any case."""
        if self._is_terminal:
            click.echo(f"\r\033[K{self._label}: {what}", nl=False)
            self._is_open = True
        else:
            click.echo(f"{self._label}: {what}")


def told(progress: Progress) -> str:
    """Return the line."""
    total = progress.handled + progress.left
    percent = 100 * progress.handled // total if total else 100
    left = progress.seconds_left
    estimate = "" if left is None else f", {left:,.0f} s left"
    return f"{percent} %, {progress.handled:,} of {total:,} events, {progress.rate:,.0f}/s{estimate}"


def shown_build(build: Build) -> str:
    """Return how far a rebuild has come, for somebody who looks on."""
    if build.progress is None:
        return f"generation {build.generation} has begun"
    at = build.progress.at.isoformat(timespec="seconds").removesuffix("+00:00")
    return f"generation {build.generation} at {at}Z: {told(build.progress)}"
