"""What to write instead if an expression is written as in other languages."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jmespath.exceptions import IncompleteExpressionError, LexerError, ParseError
from jmespath.lexer import Lexer

_LONGEST = 60
"""The most characters that a message quotes."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d[^\s'\"`\])}]*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_WORD = re.compile(r"[^\W\d][\w.]*(?:-+\w[\w.]*)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

_BARE = "write an expression without $ or braces around it"

_WRITTEN_OTHERWISE: Mapping[str, str] = {
    "=": "use == to compare",
    "and": "use && for and",
    "or": "use || for or",
    "$": _BARE,
    "{": _BARE,
    **dict.fromkeys("+-*/%", "there is no arithmetic in expressions"),
}

_LITERALS = ("null", "true", "false")
_COMPARE = ("eq", "ne", "lt", "lte", "gt", "gte")
_END = ("eof", "and", "or", "rparen", "rbracket", "rbrace", "comma", "pipe")


def hint_of(expression: str, error: Exception) -> str:
    """Return the end of a message about an expression that cannot be read: what may have been meant, or
    nothing."""
    if not isinstance(error, ParseError) or isinstance(error, IncompleteExpressionError):
        return ""
    for hint in (_of_date, _of_number, _of_name, _of_sign):
        if told := hint(expression, error):
            return f"; {told}"
    return ""


def _of_date(expression: str, error: ParseError) -> str | None:
    found = _DATE.match(expression, error.lex_position)
    return f"write a string in single quotes: '{found[0]}'" if found and _is_short(found[0]) else None


def _of_number(expression: str, error: ParseError) -> str | None:
    is_a_name = expression[: error.lex_position].endswith(".")
    found = None if is_a_name else _NUMBER.match(expression, error.lex_position)
    return f"write a number in backticks: `{found[0]}`" if found and _is_short(found[0]) else None


def _of_name(expression: str, error: ParseError) -> str | None:
    """A name with a hyphen, or with a letter outside the English alphabet, is read up to that character."""
    if not isinstance(error, LexerError):
        return None
    words = _WORD.finditer(expression)
    word = next((each[0] for each in words if each.start() <= error.lex_position < each.end()), None)
    if word is None:
        return None
    if not _is_short(word):
        return "write such a name in double quotes"
    parts = (each if _NAME.fullmatch(each) or not each else f'"{each}"' for each in word.split("."))
    return f"write such a name in double quotes: {'.'.join(parts)}"


def _of_sign(expression: str, error: ParseError) -> str | None:
    told = _WRITTEN_OTHERWISE.get(str(error.token_value))
    is_bare = "$" not in expression and "{{" not in expression
    return None if told is _BARE and is_bare else told


def _is_short(text: str) -> bool:
    return len(text) <= _LONGEST


def hints_of_values(expression: str) -> Mapping[tuple[str, ...], str]:
    """Return hints for names that do not exist, and that stand where values are compared or given."""
    hints: dict[tuple[str, ...], str] = {
        (name,): f"; write {name} in backticks: `{name}`" for name in _LITERALS
    }
    if '"' not in expression:
        return hints
    tokens: Sequence[Mapping[str, Any]] = [{"type": "none"}, *Lexer().tokenize(expression)]
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        is_value = before["type"] in (*_COMPARE, "comma", "lparen") or after["type"] in _COMPARE
        is_whole = before["type"] != "dot" and after["type"] in (*_COMPARE, *_END)
        if token["type"] == "quoted_identifier" and is_value and is_whole and _is_short(token["value"]):
            name = token["value"]
            hints[name,] = f"; double quotes make it a name, write a string in single quotes: '{name}'"
    return hints
