"""Regular expressions that anybody may write. They are matched in linear time.

The engine is Rust's, which pydantic brings along. Python's own engine tries every possible way, so that
thirty characters can keep it busy for a day.
"""

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema


class BadPattern(ValueError):
    """It is no regular expression, is too large, or has parts that cannot be matched in linear time."""


@lru_cache(maxsize=32)  # one may take 10 MB
def compiled(pattern: str) -> SchemaValidator:
    """Return a parsed pattern.

    Raises:
        BadPattern: it is not valid. Lookahead, lookbehind and backreferences are not supported.
    """
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        raise BadPattern(_reason(str(error))) from None


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
