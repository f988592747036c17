"""How a command ends: with an exit code, and one line about what stood in its way."""

import logging
import os
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
"""That of a check that came to no verdict, whatever the reason; click's own for arguments that are none."""

INTERRUPTED = 130
"""What a shell gives to Ctrl-C."""

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


class Refused(Exception):
    """Why a command cannot be carried out; its text goes to the terminal as it is."""


class CarryOut(Protocol):
    """What runs a command's action and ends the process accordingly."""

    def __call__(self, action: Callable[[], bool | None], *, failed: int = FAILED) -> None:
        """A check's action tells whether all is sound. ``failed`` is the code where that cannot be told."""
        ...


def carrying_out(*, with_traceback: bool) -> CarryOut:
    """Of an exception that nobody foresaw one line is told, and with the traceback where it comes from."""

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
    """What a full disk or a closed pipe does not take is dropped; Python would end with 120 over it."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        with suppress(OSError), open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), stream.fileno())


def _silence() -> None:
    """What is cleared away after a crash, such as a coroutine that nobody awaits, says nothing itself."""
    warnings.simplefilter("ignore")
    logging.disable()


def _what(error: BaseException) -> str:
    """The error on one line, and the one that it came of."""
    first: BaseException = error
    while inner := _behind(first):
        first = inner
    return _named(error) if first is error else f"{_named(error)}, after {_named(first)}"


def _behind(error: BaseException) -> BaseException | None:
    """What an error came of; of several at once, the first."""
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _named(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
