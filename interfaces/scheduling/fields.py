"""The grammar of one field of a Unix cron expression.

It is checked here, and not left to cronsim, because cronsim also accepts what Unix cron does not have (`L`,
`#`, a sixth field for seconds, `5/15` without a range) and answers every fault with "Bad minute". An operator
who got a field wrong should read what is wrong with it.
"""

import re
from collections.abc import Iterator

import msgspec

_NUMBER = re.compile(r"[0-9]+")
_EXTENSIONS = re.compile(r"LW?|[0-9]+[LW]|.*[#?~].*", re.IGNORECASE)


class BadField(ValueError):
    """Why a field is not understood. The message names the field."""


class Field(msgspec.Struct, frozen=True):
    """The values that one place of the expression may have."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def canonical(self, text: str) -> str:
        """Return the field in the part of the syntax that cronsim and Unix cron share: numbers, and a leading
        star.

        A leading star stays, because it decides how day-of-month and day-of-week combine, and whether a job
        counts as one of wildcards when the clocks change.
        """
        terms = text.split(",")
        star = [terms.pop(0)] if terms[0].startswith("*") else []
        for term in star:
            self._term(term)
        values = {value for term in terms for value in self._term(term)}
        return ",".join([*star, *map(str, sorted(values))])

    def values(self, text: str) -> frozenset[int]:
        """Return every value that the field matches."""
        return frozenset(value for term in text.split(",") for value in self._term(term))

    def _term(self, term: str) -> Iterator[int]:
        """Yield one member of a list: `*`, `5`, `1-5`, each range or star with an optional `/step`."""
        span, slash, step = term.partition("/")
        if span == "*":
            low, high = self.low, self.high
        else:
            first, dash, last = span.partition("-")
            low = self._value(first, term)
            high = self._value(last, term) if dash else low
            if slash and not dash:
                raise BadField(
                    f'{self.name}: "{term}" has a step without a range; write "{span}-{self.high}/{step}"'
                )
        if low > high:
            raise BadField(f'{self.name}: "{term}" runs backwards{self._hint(low, high)}')
        return iter(range(low, high + 1, self._step(step, term) if slash else 1))

    def _value(self, text: str, term: str) -> int:
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.low
        if _NUMBER.fullmatch(text) and len(text) <= 4 and self.low <= int(text) <= self.high:
            return int(text)
        if _EXTENSIONS.fullmatch(text):
            raise BadField(
                f'{self.name}: "{term}" is not Unix cron (L, W, #, ? and ~ belong to other schedulers)'
            )
        raise BadField(f'{self.name}: "{text}" is not {self._allowed()}')

    def _step(self, text: str, term: str) -> int:
        if _NUMBER.fullmatch(text) and len(text) <= 4 and int(text) > 0:
            return int(text)
        raise BadField(f'{self.name}: the step of "{term}" must be a whole number of at least 1')

    def _allowed(self) -> str:
        named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.low} to {self.high}{named}"

    def _hint(self, low: int, high: int) -> str:
        """Return how to write what was meant. Ending a week on Sunday is the usual cause."""
        if self.high == 7 and high == 0:
            return f"; Sunday is also 7: write {low}-7"
        return f"; write {low}-{self.high},{self.low}-{high}"


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day-of-month", 1, 31)
MONTH = Field(
    "month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
)
DAY_OF_WEEK = Field("day-of-week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))

FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK)
