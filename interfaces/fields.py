"""The types of values in requests, with their bounds. Each accepts exactly what the schema with its name in
``openapi.yaml`` accepts.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from application.kinds.task import A_QUEUE_IS, LONGEST_QUEUE, QUEUE
from domain.approval import LONGEST_SUBJECT
from domain.backfill import MOST_ACTIVE, Form
from domain.values import LONGEST_ID, MAX_NUMBER, canonical_id, in_utc, is_amount

MAX_VERSION = 2**31 - 1
MAX_BACKFILL_DAYS = 36_500
MAX_EXACT_INTEGER = 2**53 - 1
"""The largest integer that all JSON readers read as the same number."""

_MOST_JSON_FAULTS = 1_001
"""How many faults of a value are searched for. If there are more than a thousand, only that is reported."""

_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]+$"
_NO_NUL = r"^[^\x00]*$"
_WEB_ADDRESS = r"^https?://[^\x00-\x20\x7f]+$"
_VERSION = r"[1-9][0-9]{0,8}"
_POSITION = r"log-[0-9a-f-]{1,40}"
_CURSOR = r"^[A-Za-z0-9_-]+$"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL_TIME = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?"
_RFC_3339 = re.compile(rf"{_LOCAL_TIME}([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_PLUS_LOST = re.compile(rf"{_LOCAL_TIME} \d\d:\d\d", re.ASCII)

T = TypeVar("T")


class _NotNull:
    """Marks an optional member, for which ``null`` is refused."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_refuse_null, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        present = [each for each in handler(schema)["anyOf"] if each != {"type": "null"}]
        return dict(present[0]) if len(present) == 1 else {"anyOf": present}


def _refuse_null(value: object) -> object:
    if value is None:
        raise PydanticCustomError("null", "Input should be left out rather than null")
    return value


def _number(value: object) -> object:
    if not is_amount(value):
        raise PydanticCustomError(
            "number",
            "Input should be a number between {low} and {high}",
            {"low": -MAX_NUMBER, "high": MAX_NUMBER},
        )
    return value


def _instant(value: object) -> datetime:
    return _moment(value)


def _moment(value: object, otherwise: str = "") -> datetime:
    """Return a time in UTC; outside of UTC's calendar, its first or last moment. ``otherwise`` is added to
    the message, for other accepted forms."""
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        if isinstance(value, str) and _PLUS_LOST.fullmatch(value):
            otherwise += "; a + in a URL's query stands for a space: write it as %2B"
        message = "Input should be an RFC 3339 time with an offset{otherwise}"
        raise PydanticCustomError("instant", message, {"otherwise": otherwise})
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        raise PydanticCustomError("instant", "Input should be a time that exists") from None
    return in_utc(moment)


class EndOfRange(NamedTuple):
    """A time in whole milliseconds, and the form in which it was given. A date means its midnight in UTC."""

    moment: datetime
    form: Form


def _date_or_moment(value: object) -> EndOfRange:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        moment = _moment(value, ", or a date")
        return EndOfRange(moment.replace(microsecond=moment.microsecond // 1000 * 1000), "moments")
    try:
        return EndOfRange(datetime.fromisoformat(value).replace(tzinfo=UTC), "dates")
    except ValueError:
        raise PydanticCustomError("date", "Input should be a date that exists") from None


def _queue(name: str) -> str:
    """Check the name of a queue. With a name that no definition can have, a worker would wait forever."""
    if len(name) > LONGEST_QUEUE or not re.fullmatch(QUEUE, name, re.ASCII):
        raise PydanticCustomError("queue", "Input should be {words}", {"words": A_QUEUE_IS})
    return name


def _flag(value: object) -> object:
    """Return the boolean in a query string, ``true`` or ``false``."""
    if value in ("true", "false"):
        return value == "true"
    raise PydanticCustomError("flag", "Input should be true or false")


def _moment_or_version(value: object) -> object:
    """Return a version, given in digits, or a time."""
    if isinstance(value, str) and re.fullmatch(_VERSION, value, re.ASCII):
        return int(value)
    return _moment(value, ", or a version (1 or more)")


def _moment_or_position(value: object) -> datetime | str:
    """Return a position of the log as a text, or a time."""
    if isinstance(value, str) and re.fullmatch(_POSITION, value, re.ASCII):
        return value
    return _moment(value, ", or a position of the log (as in X-Position)")


def as_integer(value: object) -> object:
    """Return a float without a fraction as an integer, because JSON has only one type of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _whole_number(value: object) -> object:
    """Return the number in a query string, given in digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    raise PydanticCustomError("whole_number", "Input should be a whole number in digits")


def _json_value(value: T) -> T:
    """Refuse values that a store does not accept or that other JSON readers change, each with its place."""
    if _is_plain(value):
        return value
    found = islice(_json_faults(value), _MOST_JSON_FAULTS)
    raise ValidationError.from_exception_data(
        "JSON",
        [InitErrorDetails(type=fault, loc=place, input=None) for place, fault in found],
    )


def _json_faults(value: object) -> Iterator[tuple[tuple[str | int, ...], PydanticCustomError]]:
    """Yield what is refused with its place within the value, in the order in which it was sent."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while pending:
        place, each = pending.pop()
        if isinstance(each, dict):
            if any("\x00" in name for name in each):
                yield place, PydanticCustomError("json", "a name contains NUL")
            pending.extend(((*place, name), child) for name, child in reversed(each.items()))
        elif isinstance(each, list):
            pending.extend(((*place, index), each[index]) for index in reversed(range(len(each))))
        elif isinstance(each, str):
            if "\x00" in each:
                yield place, PydanticCustomError("json", "the string contains NUL")
        elif isinstance(each, int | float) and not -MAX_EXACT_INTEGER <= each <= MAX_EXACT_INTEGER:
            yield (
                place,
                PydanticCustomError("json", "a number should be within ±{most}", {"most": MAX_EXACT_INTEGER}),
            )


def _is_plain(value: object) -> bool:
    """Return whether nothing is refused. This does not track places, which would take ten times as long."""
    pending: list[Any] = [value]
    while pending:
        match each := pending.pop():
            case dict():
                if any("\x00" in name for name in each):
                    return False
                pending.extend(each.values())
            case list():
                pending.extend(each)
            case str():
                if "\x00" in each:
                    return False
            case bool() | None:
                pass
            case _:
                if not -MAX_EXACT_INTEGER <= each <= MAX_EXACT_INTEGER:
                    return False
    return True


Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=_NO_CONTROL_CHARACTERS)]
OwnId = Annotated[Id, AfterValidator(canonical_id)]
"""The ID of a resource of the service, in upper or lower case, or a name instead of an ID."""
DefinitionName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=_NO_CONTROL_CHARACTERS)
]
QueueName = Annotated[
    str,
    AfterValidator(_queue),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_QUEUE, "pattern": QUEUE}),
]
Version = Annotated[int, Field(ge=1, le=MAX_VERSION), BeforeValidator(as_integer)]
VersionInQuery = Annotated[int, Field(ge=1, le=999_999_999), BeforeValidator(_whole_number)]
ClaimedAtOnce = Annotated[int, Field(ge=1, le=100), BeforeValidator(as_integer)]
LeaseSeconds = Annotated[int, Field(ge=1, le=43_200), BeforeValidator(as_integer)]
WaitSeconds = Annotated[int, Field(ge=0, le=30), BeforeValidator(as_integer)]
Comment = Annotated[str, StringConstraints(max_length=4000, pattern=_NO_NUL)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=_NO_NUL)]
WebAddress = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=_WEB_ADDRESS)]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=_CURSOR)]
BackfillDays = Annotated[int, Field(ge=1, le=MAX_BACKFILL_DAYS), BeforeValidator(as_integer)]
MaxActive = Annotated[int, Field(ge=1, le=MOST_ACTIVE), BeforeValidator(as_integer)]
PreviewCount = Annotated[int, Field(ge=1, le=100), BeforeValidator(_whole_number)]
Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(_whole_number)]
Stretch = Annotated[int, Field(ge=1, le=5000), BeforeValidator(_whole_number)]
Number = Annotated[
    int | float,
    PlainValidator(_number),
    WithJsonSchema({"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}),
]
Instant = Annotated[datetime, BeforeValidator(_instant)]
DateOrMoment = Annotated[
    EndOfRange,
    PlainValidator(_date_or_moment),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}
    ),
]
Flag = Annotated[bool, BeforeValidator(_flag)]
AsOf = Annotated[
    datetime | int,
    PlainValidator(_moment_or_version),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": f"^{_VERSION}$"}, {"type": "string", "format": "date-time"}]}
    ),
]
MomentOrPosition = Annotated[
    datetime | str,
    PlainValidator(_moment_or_position),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_POSITION}$"},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
Subject = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_SUBJECT, pattern=_NO_CONTROL_CHARACTERS)
]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
JsonObject = Annotated[
    dict[str, Any],
    AfterValidator(_json_value),
    WithJsonSchema({"type": "object", "x-component": "JsonObject"}),
]
JsonValue = Annotated[Any, AfterValidator(_json_value), WithJsonSchema({"x-component": "JsonValue"})]
Silent = Annotated[T | None, _NotNull()]
"""A member that may be left out."""
