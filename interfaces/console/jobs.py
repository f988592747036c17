"""The jobs as operators see them, and what is done with one, out of the API's answers."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, get_args
from urllib.parse import urlencode

from cron_descriptor import (
    FormatException,
    MissingFieldException,
    Options,
    WrongArgumentException,
    get_description,
)

from domain.job import RunStatus
from domain.values import is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.calendar_strip import plot_of, strip_of
from interfaces.console.input_form import Field, fields_of, input_of

MOST_JOBS = 200
"""On the page of all; no list gives more at once."""

_RUNS = 50
_BACKFILLS = 20
_IN_FORCE = ("running", "cancelling")
_STATUSES = get_args(RunStatus)
_OPEN = ("scheduled", "published")
_COMING = 100

_MOST_DIGITS = 9
"""Of a number in a form; what is too much of it, the API says."""

_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:-]{1,255}")

_WORDS = Options()
_WORDS.use_24hour_time_format = True
_WORDS.verbose = True


def is_name(text: str) -> bool:
    """Whether a job may be called so, and it may go into a path."""
    return _NAME.fullmatch(text) is not None


def in_words(cron: str) -> str:
    """A schedule in words; where there are none for it, the expression."""
    with suppress(FormatException, MissingFieldException, WrongArgumentException):
        return str(get_description(cron, _WORDS))
    return cron


async def every(api: Api, now: datetime) -> Mapping[str, Any]:
    """Each job: its schedule in words, its last run, and the days around now."""
    jobs = (await api.get("/jobs", limit=MOST_JOBS))["jobs"]
    return {"jobs": [{"job": job, **await _around_now(api, job, _RUNS, now)} for job in jobs]}


async def one(api: Api, name: str, now: datetime) -> Mapping[str, Any]:
    """A job: its rules, its days, what its runs came to, and its backfills."""
    job = await api.get(f"/jobs/{name}")
    backfills = (await api.get(f"/jobs/{name}/backfills", limit=_BACKFILLS))["backfills"]
    return {
        "job": job,
        **await _around_now(api, job, _RUNS, now),
        "fields": _fields_of(job),
        "backfills": backfills,
        "goes_on": any(each["status"] in _IN_FORCE for each in backfills) or job["openRuns"] > 0,
    }


async def runs(api: Api, name: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    """A page of what came of the firings, by the address: of a status, and where it begins."""
    asked = {each: query[each] for each in ("status", "cursor") if query.get(each)}
    page = await api.get(f"/jobs/{name}/runs", limit=_RUNS, **asked)
    cursor = page["nextCursor"]
    return {
        "name": name,
        "runs": page["runs"],
        "total": page["total"],
        "status": asked.get("status", ""),
        "statuses": _STATUSES,
        "next": urlencode({**asked, "cursor": cursor}) if cursor else "",
    }


async def run(api: Api, name: str, id: str) -> Mapping[str, Any]:
    """What came of one firing."""
    found = await api.get(f"/jobs/{name}/runs/{id}")
    return {"run": found, "goes_on": found["status"] in _OPEN}


async def act(api: Api, name: str, form: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Carry out what a form of a job's page asks for; of a backfill that is only tried out, its plan.

    Raises:
        Refused: the API did not, or a field cannot be read.
    """
    path, key = f"/jobs/{name}", form.get("key", "")
    what, _, id = form.get("do", "").partition(" ")
    match what:
        case "trigger":
            metadata = input_of(_fields_of(await api.get(path)), form)
            await api.post(f"{path}/trigger", {"metadata": metadata}, key)
        case "pause":
            await api.post(f"{path}/pause", {"reason": _text(form, "reason")}, key)
        case "resume":
            await api.post(f"{path}/resume", {}, key)
        case "plan":
            plan: Mapping[str, Any] = await api.post(
                f"{path}/backfills", {**_range(form), "dryRun": True}, key
            )
            return plan
        case "backfill":
            await api.post(f"{path}/backfills", _range(form), key)
        case "cancel" if is_uuid(id):
            await api.post(f"{path}/backfills/{id}/cancel", {"reason": _text(form, "reason")}, key)
        case _:
            raise Refused(400, "BAD_REQUEST", "The form asks for an action that does not exist.")
    for shown in ("", "/runs", "/backfills"):
        await api.settle(f"{path}{shown}")
    return None


async def _around_now(api: Api, job: Mapping[str, Any], limit: int, now: datetime) -> Mapping[str, Any]:
    runs = (await api.get(f"/jobs/{job['job']}/runs", limit=limit))["runs"]
    planned = (await api.get(f"/jobs/{job['job']}/preview", count=_COMING))["firings"]
    return {
        "words": in_words(job["cron"]),
        "runs": runs,
        "strip": strip_of(runs, [each["nominalTime"] for each in planned], now),
        "plot": plot_of(runs),
    }


def _fields_of(job: Mapping[str, Any]) -> Sequence[Field]:
    """What a trigger by hand may tell the worker."""
    return fields_of(job["metadataSchema"], "metadata")


def _range(form: Mapping[str, str]) -> dict[str, Any]:
    asked: dict[str, Any] = {name: _text(form, name) for name in ("from", "to")}
    for name in ("windowDays", "maxActive"):
        if given := _text(form, name):
            if not given.isdecimal() or len(given) > _MOST_DIGITS:
                raise Refused(400, "VALIDATION_ERROR", f"{name}: must be a whole number")
            asked[name] = int(given)
    return asked


def _text(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").strip()
