"""JMESPath over what a workflow knows: its input, and the results of earlier steps."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from domain.bounded_jmespath import Allowance, search
from domain.expression_hints import hint_of
from domain.faults import shortened

_UNFIT = (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)
"""The errors that an expression may cause. What it finds may also be no JSON (``&name``, half a
surrogate)."""


MOST_BYTES = 2 * 1024 * 1024
"""The largest result of an expression, as large as a message may be."""


class BadExpression(ValueError):
    """The expression cannot be read, or does not fit what it is applied to."""


@lru_cache(maxsize=512)  # one may take a quarter of a megabyte
def compiled(expression: str) -> ParsedResult:
    """Return a parsed expression.

    Raises:
        BadExpression: it is not valid.
    """
    try:
        return jmespath.compile(expression)
    except (JMESPathError, RecursionError) as error:
        raise BadExpression(shortened(_in_one_line(error)) + hint_of(expression, error)) from None
    except ValueError:
        raise BadExpression("a number in it has too many digits") from None


def found(expression: str, context: Mapping[str, Any], allowance: Allowance | None = None) -> Any:
    """Return what an expression finds, or ``None`` if it finds nothing. Its work counts towards the
    ``allowance``, if others are evaluated with it.

    Raises:
        BadExpression: it cannot be read, or does not fit the context.
    """
    try:
        value = search(compiled(expression), context, allowance or Allowance())
        size = len(msgspec.json.encode(value))
    except BadExpression:
        raise
    except _UNFIT as error:
        raise BadExpression(f"{shortened(expression)}: {_in_one_line(error)}") from None
    if size > MOST_BYTES:
        raise BadExpression(f"{shortened(expression)}: finds {size} bytes of JSON; the limit is {MOST_BYTES}")
    return value


def holds(expression: str, context: Mapping[str, Any], allowance: Allowance | None = None) -> bool:
    """Return whether an expression finds something that JMESPath takes for true: neither nothing nor empty.

    Raises:
        BadExpression: as in :func:`found`.
    """
    value = found(expression, context, allowance)
    return value is not None and value is not False and value not in ("", [], {})


def mapped(
    expressions: Mapping[str, str], context: Mapping[str, Any], allowance: Allowance | None = None
) -> dict[str, Any]:
    """Return what each named expression finds. They have one allowance together.

    Raises:
        BadExpression: as in :func:`found`.
    """
    allowance = allowance or Allowance()
    return {name: found(expression, context, allowance) for name, expression in expressions.items()}


def literal(expression: str, *, otherwise: Any) -> Any:
    """Return the value of an expression that is nothing but a literal, and ``otherwise`` of any other."""
    try:
        parsed = compiled(expression).parsed
    except BadExpression:
        return otherwise
    return parsed["value"] if parsed["type"] == "literal" else otherwise


def _in_one_line(error: Exception) -> str:
    """Return the library's message without the line whose caret points into the one above it."""
    said = str(error).removeprefix("Invalid jmespath expression: ").removeprefix("Bad jmespath expression: ")
    lines = [line.strip() for line in said.splitlines() if line.strip(" ^")]
    return " ".join(lines) or type(error).__name__
