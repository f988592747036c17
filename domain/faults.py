"""What is wrong with an input, in words with which its author can correct it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

LONGEST_MESSAGE = 300


class Fault(NamedTuple):
    """One fault, and its field, such as ``steps[2].after[0]``. No field means the whole input."""

    field: str
    message: str


def listed(faults: Iterable[Fault]) -> list[dict[str, str]]:
    """Return faults as the API shows them, each as ``{field, message}``."""
    return [fault._asdict() for fault in faults]


def path_of(parts: Iterable[str | int]) -> str:
    """Return the path of a field: names after dots, positions in brackets."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def within(field: str, faults: Iterable[Fault]) -> Iterator[Fault]:
    """Yield the faults of a part as faults of the whole that has it in ``field``."""
    for fault in faults:
        joint = "" if not fault.field or fault.field.startswith("[") or not field else "."
        yield Fault(f"{field}{joint}{fault.field}", fault.message)


def shortened(message: str) -> str:
    """Return a message of limited length, because some quote the input."""
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "…"
