"""The rules of jobs, and further jobs, by settings alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.sections import BatchJobs
from config.settings import SettingsError, load_settings
from domain.job import JobDefinition, JobPolicy, Retries, Schedule
from domain.json_schema import value_faults


def batch_jobs(folder: Path, jobs: dict[str, Any], **more: Any) -> BatchJobs:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"batch_jobs": {"jobs": jobs}, **more}))
    return load_settings(file, {}).batch_jobs


def refusal(folder: Path, jobs: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        batch_jobs(folder, jobs, **more)
    return list(refused.value.lines)


def test_a_job_without_rules_has_those_of_all(tmp_path: Path) -> None:
    by_name = {each.name: each for each in batch_jobs(tmp_path, {}).definitions}
    assert by_name["propagation"] == JobDefinition(
        name="propagation", schedule=Schedule(cron="0 5 * * *", time_zone="UTC"), policy=JobPolicy()
    )
    assert not by_name["cais-learning"].enabled


def test_a_job_has_its_own_rules(tmp_path: Path) -> None:
    rules = {
        "time_zone": "Europe/Berlin",
        "overlap": "queue_one",
        "catch_up": "latest",
        "catch_up_seconds": 7200,
        "jitter_seconds": 30,
        "deadline_seconds": 900,
        "retries": {"attempts": 3, "delay_seconds": 60, "factor": 1.5},
    }
    found = next(
        each
        for each in batch_jobs(tmp_path, {"propagation": rules}).definitions
        if each.name == "propagation"
    )
    assert found.schedule == Schedule(cron="0 5 * * *", time_zone="Europe/Berlin")
    assert found.policy == JobPolicy(
        overlap="queue_one",
        catch_up="latest",
        catch_up_seconds=7200,
        jitter_seconds=30,
        deadline_seconds=900,
        retries=Retries(attempts=3, delay_seconds=60, factor=1.5),
    )


def test_a_new_job_is_a_name_and_a_cron(tmp_path: Path) -> None:
    jobs = batch_jobs(
        tmp_path,
        {
            "invoice-matching": {
                "cron": "*/30 8-18 * * 1-5",
                "message_type": "workflow.invoices.trigger",
                "queue": "invoice_jobs",
            }
        },
    )
    assert jobs.definitions[-1].name == "invoice-matching"
    assert jobs.definitions[-1].schedule.cron == "*/30 8-18 * * 1-5"
    assert jobs.definitions[-1].message_type == "workflow.invoices.trigger"
    assert jobs.queues == {"workflow.invoices.trigger": "invoice_jobs"}


def test_all_jobs_are_off_where_the_switch_of_all_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("batch_jobs: {enabled: false, jobs: {propagation: {enabled: true}}}")
    assert not any(each.enabled for each in load_settings(file, {}).batch_jobs.definitions)


def test_a_metadata_schema_means_what_yaml_means(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "year": {"type": "integer", "minimum": 2020},
            "code": {"type": "string", "pattern": "5", "maxLength": 3, "title": "7"},
            "format": {"type": "array", "items": {"enum": [1, "a"]}, "uniqueItems": True},
        },
    }
    found = batch_jobs(tmp_path, {"propagation": {"metadata_schema": schema}}).jobs["propagation"]
    assert found.metadata_schema == schema
    assert value_faults(schema, {"year": 2019, "more": 1}, "metadata")


def test_the_shipped_schemas_take_what_operators_give() -> None:
    by_name = {each.name: each for each in load_settings(environ={}).batch_jobs.definitions}
    backfill = by_name["risk-snapshot-backfill"].metadata_schema
    assert not value_faults(backfill, {"from": "2026-01-01", "to": "2026-01-31"}, "metadata")
    for no_date in ("yesterday", "2026-13-01", "2026-00-01", "2026-01-32"):
        assert value_faults(backfill, {"from": no_date}, "metadata")
    tenants = by_name["model-monitoring"].metadata_schema
    assert not value_faults(tenants, {"tenantIds": ["t"]}, "metadata")
    assert value_faults(tenants, {"tenantIds": "t"}, "metadata")


@pytest.mark.parametrize(
    ("jobs", "line"),
    [
        ({"outcome-snyc": {"overlap": "skip"}}, "batch_jobs.jobs.outcome-snyc: it has no cron"),
        ({"outcome-snyc": {"overlap": "skip"}}, "did you mean outcome-sync?"),
        ({"propagation": {"overlap": "never"}}, 'is "never"; allowed: allow, skip or queue_one'),
        ({"propagation": {"catch_up": "some"}}, "batch_jobs.jobs.propagation.catch_up is"),
        ({"propagation": {"overlp": "skip"}}, "unknown setting; did you mean"),
        ({"propagation": {"cron": "0 5 * *"}}, "batch_jobs.jobs.propagation.cron is"),
        ({"propagation": {"retries": {"attempts": 0}}}, "batch_jobs.jobs.propagation.retries.attempts is"),
        ({"propagation": {"retries": {"delay_seconds": 90_000}}}, "at most a day"),
        (
            {"propagation": {"metadata_schema": {"type": "objekt"}}},
            "batch_jobs.jobs.propagation.metadata_schema",
        ),
        ({"propagation": {"metadata_schema": {"type": "string"}}}, "it must allow an object"),
        (
            {"propagation": {"metadata_schema": {"$ref": "#"}}},
            "metadata_schema: refers to itself without end",
        ),
        ({"a b": {"cron": "0 5 * * *"}}, "its name is not valid; allowed: 1 to 255 letters, digits and"),
        ({"my-own": {"cron": "0 5 * *"}}, "batch_jobs.jobs.my-own.cron is"),
        (
            {"propagation": {"message_type": "own.type", "queue": "amq.mine"}},
            "names that begin with amq. are reserved for the broker",
        ),
        ({"propagation": "off"}, "batch_jobs.jobs.propagation: it must be a section with cron"),
        ({"propagation": {"queue": "mine"}}, "give it a message_type too"),
        ({"propagation": {"message_type": "a b", "queue": "mine"}}, "in parts joined by dots"),
        ({"propagation": {"message_type": "workflow.step.completed"}}, "already has another meaning"),
        ({"propagation": {"message_type": "own.type", "queue": "bi_batch_jobs"}}, "is used by this service"),
        (
            {
                "propagation": {"message_type": "own.type", "queue": "one"},
                "outcome-sync": {"message_type": "own.type", "queue": "two"},
            },
            "sends the same message_type to another queue",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, jobs: dict[str, Any], line: str) -> None:
    (found,) = refusal(tmp_path, jobs)
    assert line in found
    assert found.startswith("batch_jobs.jobs.")
