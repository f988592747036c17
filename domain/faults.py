"""What is wrong with something that was given, said so that its author can put it right."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

LONGEST_MESSAGE = 300


class Fault(NamedTuple):
    """One fault, and the field that it is in, such as ``steps[2].after[0]``; no field is the whole."""

    field: str
    message: str


def listed(faults: Iterable[Fault]) -> list[dict[str, str]]:
    """Faults as they are told outside, each as ``{field, message}``."""
    return [fault._asdict() for fault in faults]


def path_of(parts: Iterable[str | int]) -> str:
    """The path of a field: names after dots, positions in brackets."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def within(field: str, faults: Iterable[Fault]) -> Iterator[Fault]:
    """Faults of a part, as faults of the whole that has it in ``field``."""
    for fault in faults:
        joint = "" if not fault.field or fault.field.startswith("[") or not field else "."
        yield Fault(f"{field}{joint}{fault.field}", fault.message)


def shortened(message: str) -> str:
    """A message of a bearable length: some quote what they are about."""
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "…"
