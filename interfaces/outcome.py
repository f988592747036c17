"""The end of a command: its exit code, and one line about an error."""

import logging
import os
import select
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TextIO

import click

FAILED = FOUND = 1
"""The exit codes of a command that could not be carried out, and of a check that found something."""

CANNOT_TELL = 2
"""The exit code of a check without a verdict. It is also click's for invalid arguments."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells use it."""

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


class Refused(Exception):
    """A command cannot be carried out. Its text is printed as it is."""


class CarryOut(Protocol):
    """Runs a command's action, and ends the process according to its outcome."""

    def __call__(self, action: Callable[[], bool | None], *, failed: int = FAILED) -> None:
        """Run an action. That of a check returns whether everything is sound. ``failed`` is the exit code if
        it raises."""
        ...


def carrying_out(*, with_traceback: bool) -> CarryOut:
    """Return the function that runs actions. It prints an unexpected exception as one line, or with its
    traceback."""

    def carry_out(action: Callable[[], bool | None], *, failed: int = FAILED) -> None:
        try:
            is_sound = action()
            if sys.stdout is not None:
                sys.stdout.flush()
        except Refused as why:
            _end(str(why), failed)
        except KeyboardInterrupt:
            _end(None, INTERRUPTED)
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _has_no_reader(sys.stdout):
                _end("standard output was closed before everything was written", failed)
            if with_traceback:
                _say("".join(traceback.format_exception(error)).rstrip())
            else:
                _silence()
            _end(f"stopped by an unexpected error: {_what(error)}; set LOG_LEVEL=debug to see where", failed)
        if is_sound is False:
            sys.exit(FOUND)

    return carry_out


def _end(why: str | None, code: int) -> None:
    if why is not None:
        _say(why)
    for stream in (sys.stdout, sys.stderr):
        _empty(stream)
    sys.exit(code)


def _say(text: str) -> None:
    with suppress(OSError):
        click.echo(text, err=True)


def _empty(stream: TextIO | None) -> None:
    """Flush a stream. If that fails (a full disk, a closed pipe), drop the rest: otherwise Python would exit
    with 120."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        with suppress(OSError), open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), stream.fileno())


def _has_no_reader(stream: TextIO | None) -> bool:
    """Return whether a stream is a pipe that its reader has closed, as ``| head`` does."""
    if stream is None:
        return False
    poll = select.poll()
    poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _silence() -> None:
    """Suppress warnings and logs, such as those about coroutines that are not awaited because of a crash."""
    warnings.simplefilter("ignore")
    logging.disable()


def _what(error: BaseException) -> str:
    """Return an error on one line, with its first cause."""
    first: BaseException = error
    while inner := _behind(first):
        first = inner
    return _named(error) if first is error else f"{_named(error)}, after {_named(first)}"


def _behind(error: BaseException) -> BaseException | None:
    """Return the cause of an error, or the first error of a group."""
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _named(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
