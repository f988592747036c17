"""Regular expressions that anybody may write. They are matched in linear time.

The engine is Rust's, which pydantic brings along. Python's own engine tries every possible way, so that
thirty characters can keep it busy for a day. What takes long here is parsing: ``[\\w-]{1,64}`` takes a
twentieth of a second and 5 MB, because ``\\w`` has all letters of Unicode. So only some large patterns are
kept, and they do not push out small ones.
"""

from threading import Lock
from time import thread_time
from typing import NamedTuple

from cachetools import LRUCache
from pydantic_core import SchemaError, SchemaValidator, core_schema

_SMALL_SECONDS = 0.002
_MOST_SMALL = 1_000
_MOST_LARGE_SECONDS = 0.5
"""What the large ones that are kept took together."""


class BadPattern(ValueError):
    """It is no regular expression, is too large, or has parts that cannot be matched in linear time."""


class Patterns:
    """Parsed patterns, as far as they are kept. Several threads may use them."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._small: LRUCache[str, SchemaValidator] = LRUCache(_MOST_SMALL)
        self._large: LRUCache[str, _Large] = LRUCache(
            _MOST_LARGE_SECONDS, getsizeof=lambda large: large.seconds
        )

    def at_hand(self, pattern: str) -> SchemaValidator | None:
        """Return a parsed pattern if it is kept."""
        with self._guard:
            if (small := self._small.get(pattern)) is not None:
                return small
            large = self._large.get(pattern)
        return None if large is None else large.parsed

    def parsed(self, pattern: str) -> SchemaValidator:
        """Return a parsed pattern.

        Raises:
            BadPattern: it is not valid. Lookahead, lookbehind and backreferences are not supported.
        """
        known = self.at_hand(pattern)
        return self._parse(pattern) if known is None else known

    def _parse(self, pattern: str) -> SchemaValidator:
        began = thread_time()
        try:
            parsed = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        except SchemaError as error:
            raise BadPattern(_reason(str(error))) from None
        seconds = thread_time() - began
        with self._guard:
            if seconds < _SMALL_SECONDS:
                self._small[pattern] = parsed
            else:
                self._large[pattern] = _Large(parsed, min(seconds, _MOST_LARGE_SECONDS))
        return parsed


class _Large(NamedTuple):
    parsed: SchemaValidator
    seconds: float


PATTERNS = Patterns()
"""Those of this process."""


def compiled(pattern: str) -> SchemaValidator:
    """Return a parsed pattern.

    Raises:
        BadPattern: as in :meth:`Patterns.parsed`.
    """
    return PATTERNS.parsed(pattern)


def is_at_hand(pattern: str) -> bool:
    """Return whether a pattern can be matched at once."""
    return PATTERNS.at_hand(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches anywhere in a text.

    Raises:
        BadPattern: as in :func:`compiled`.
    """
    return compiled(pattern).isinstance_python(text)


def _reason(said: str) -> str:
    """Return the reason, which the engine gives at the end of several lines, or in one line that counts
    bytes."""
    reason = next((line for line in reversed(said.splitlines()) if line.startswith("error:")), "")
    if not reason and "size limit" in said:
        return "is too large a regular expression: repetitions such as {1000} are expanded"
    return reason.removeprefix("error:").strip() or "is not a valid regular expression"
