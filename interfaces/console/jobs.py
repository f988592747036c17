"""The pages of the jobs, read from the API, and the actions of their forms."""

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
"""How many jobs the page of all jobs shows, which is the most that the API returns at once."""

_RUNS = 50
_BACKFILLS = 20
_IN_FORCE = ("running", "cancelling")
_STATUSES = get_args(RunStatus)
_OPEN = ("scheduled", "published")
_COMING = 100

_MOST_DIGITS = 9
"""The most digits of a number in a form. The API has its own limits."""

_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:-]{1,255}")

_WORDS = Options()
_WORDS.use_24hour_time_format = True
_WORDS.verbose = True


def is_name(text: str) -> bool:
    """Return whether a text is a valid name of a job, and safe in a path."""
    return _NAME.fullmatch(text) is not None


def in_words(cron: str) -> str:
    """Return a schedule in words, or the cron expression if it cannot be described."""
    with suppress(FormatException, MissingFieldException, WrongArgumentException):
        return str(get_description(cron, _WORDS))
    return cron


async def every(api: Api, now: datetime) -> Mapping[str, Any]:
    """Return all jobs, each with its schedule in words, its last run, and the days around now."""
    jobs = (await api.get("/jobs", limit=MOST_JOBS))["jobs"]
    return {"jobs": [{"job": job, **await _around_now(api, job, _RUNS, now)} for job in jobs]}


async def one(api: Api, name: str, now: datetime) -> Mapping[str, Any]:
    """Return a job with its rules, its runs and firings, and its backfills."""
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
    """Return a page of a job's runs, by the status and the cursor in the address."""
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
    """Return one run."""
    found = await api.get(f"/jobs/{name}/runs/{id}")
    return {"run": found, "goes_on": found["status"] in _OPEN}


async def act(api: Api, name: str, form: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Carry out the action of a form on a job's page. For a dry run of a backfill, return its plan.

    Raises:
        Refused: the API has refused it, or a field cannot be read.
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
    """Return the fields for the metadata of a manual trigger."""
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
