"""``http``: call one of the neighbouring services.

``path`` may name members of the step's input in braces: ``/api/v1/deals/{dealId}/score``. ``query`` names the
members that form the query, ``body`` those that are sent as JSON; ``all``, which is the default for POST, PUT
and PATCH, means those that are not used elsewhere. With ``accepted`` a 202 means that the answer comes later:
as one of the ``replies``, or by hand.
"""

import re
from collections.abc import Collection, Iterator

from application.kinds.kind import NAME, Parameters, StepKind, parameters
from application.reply_rules import CORRELATION, REPLIES, reply_faults
from domain.faults import Fault

SERVICES = (
    "integration_manager",
    "risk_analytics",
    "ml_service",
    "forecasting",
    "recommendations",
    "adaptive_learning",
)
"""The services that may be called, by their names in the settings."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_LITERAL = r"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]"
_PATH = rf"^/({_LITERAL}|\{{[^{{}}]+\}})*$"
_PATH_LOOKS = (
    "must begin with / and contain only letters, digits, -._~!$&'()*+,;=:@%/?, and names of the step's input"
    " in braces, such as /api/v1/deals/{dealId}/score; at most 2000 characters"
)


def _more(parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
    return [
        *_path(parameters.get("path") or "", input_names),
        *_names(parameters, input_names),
        *_later(parameters),
        *reply_faults(parameters, input_names),
    ]


def _later(parameters: Parameters) -> Iterator[Fault]:
    if parameters.get("accepted", False) is False:
        for name in ("replies", "correlation"):
            if name in parameters:
                yield Fault(name, "is only for a call that may be answered later (accepted: true)")


def _path(path: str, input_names: Collection[str]) -> Iterator[Fault]:
    if path.startswith("//"):
        yield Fault("path", "must not begin with //, which would be another host")
    segments = path.partition("?")[0].split("/")
    if any(segment.lower().replace("%2e", ".") in (".", "..") for segment in segments):
        yield Fault("path", "must not have a segment . or ..")
    for name in PLACEHOLDER.findall(path):
        if name not in input_names:
            yield Fault("path", f"{{{name}}} is not in the step's input")


def _names(parameters: Parameters, input_names: Collection[str]) -> Iterator[Fault]:
    if parameters.get("body") and parameters.get("method") == "GET":
        yield Fault("body", "must not be set for GET")
    for field in ("query", "body"):
        names = parameters.get(field, ())
        for number, name in enumerate(names if isinstance(names, list) else ()):
            if name not in input_names:
                yield Fault(f"{field}[{number}]", f"{name} is not in the step's input")


_NAMES = {"type": "array", "maxItems": 100, "uniqueItems": True, "items": NAME}

HTTP = StepKind(
    name="http",
    schema=parameters(
        {
            "service": {"enum": list(SERVICES)},
            "method": {"enum": list(METHODS)},
            "path": {"type": "string", "maxLength": 2000, "pattern": _PATH},
            "query": _NAMES,
            "body": {"anyOf": [{"const": "all"}, _NAMES]},
            "accepted": {"type": "boolean"},
            "replies": REPLIES,
            "correlation": CORRELATION,
        },
        required=["service", "method", "path"],
    ),
    looks={"path": _PATH_LOOKS},
    more=_more,
)
