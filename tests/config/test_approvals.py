"""What approvals stand on, as the settings have it, and what is told of it at start-up."""

import logging
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from application.approval_terms import Terms
from config.announcement import announce_approvals
from config.approvals import build_approvals
from config.settings import Settings, SettingsError, load_settings
from config.start import CannotStart
from domain.errors import DirectoryUnavailable
from infrastructure.directory.remote import HttpDirectory
from tests.builders import OTHER_TENANT, TENANT
from tests.services import free_port
from tests.user_management import user_management

pytestmark = pytest.mark.anyio

FILE = f"""
tenants:
  "*":
    policies: {{one: {{stages: [{{name: a, approvers: [{{group: sales}}]}}]}}}}
  {TENANT}:
    policies: {{one: {{stages: [{{name: a, approvers: [{{group: finance}}]}}]}}}}
    rules: [{{amountFrom: 100, policy: one}}]
    groups: {{finance: [ada]}}
  {OTHER_TENANT}:
    groups: {{finance: [bob]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "approvals.yaml"
    path.write_text(FILE)
    return path


def settings(file: Path | None = None, *, overlay: str = "", **environ: str) -> Settings:
    given = {"APPROVALS_FILE": str(file)} if file else {}
    path = None
    if overlay and file:
        path = file.with_name("settings.yaml")
        path.write_text(overlay)
    return load_settings(path, {**given, **environ})


def told(settings: Settings) -> list[dict[str, Any]]:
    """What is announced."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as logs:
        announce_approvals(settings, build_approvals(settings))
    return [dict(each) for each in logs]


def test_duties_are_separate_unless_told_otherwise() -> None:
    approvals = settings().approvals
    assert (approvals.separation_of_duties, approvals.reason_on_rejection) == (True, False)
    assert (approvals.file, approvals.directory_url, approvals.url_template) == (None, "", "")
    assert approvals.operator_roles == ("admin",)
    assert (approvals.directory_cache_seconds, approvals.directory_timeout_seconds) == (30, 5)
    assert approvals.look_again_seconds == 3600


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("USER_MANAGEMENT_URL", "user-management:3007", "it is not scheme://host:port"),
        ("USER_MANAGEMENT_URL", "http://u:p@um", "it contains a user or password"),
        ("APPROVAL_URL_TEMPLATE", "https://app/approvals", "it does not contain {approvalId}"),
        (
            "APPROVAL_URL_TEMPLATE",
            "/approvals/{approvalId}",
            "allowed: http:// or https:// with {approvalId}",
        ),
        ("APPROVAL_URL_TEMPLATE", "https://app/{tenantId}/{approvalId}", "braces other than {approvalId}"),
        ("APPROVAL_URL_TEMPLATE", "https://app/a b/{approvalId}", "it contains white space"),
        ("APPROVAL_URL_TEMPLATE", "https://u:p@app/{approvalId}", "it contains a user or password"),
        ("APPROVAL_URL_TEMPLATE", "https://app/{approvalId}" + "x" * 2000, "allowed: http:// or https://"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(variable: str, text: str, line: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ={variable: text})
    (found,) = refused.value.lines
    assert line in found
    assert f"({variable})" in found


@pytest.mark.parametrize("roles", ["admin", "[[admin]]", "['']"])
def test_operators_have_roles_that_are_texts(tmp_path: Path, roles: str) -> None:
    with pytest.raises(SettingsError, match=r"approvals\.operator_roles.*allowed: a list of roles"):
        settings(tmp_path / "none", overlay=f"approvals: {{operator_roles: {roles}}}")


async def test_without_a_file_there_are_the_settings_and_nobody_is_in_a_group() -> None:
    parts = build_approvals(settings(APPROVAL_URL_TEMPLATE="https://app/{approvalId}"))
    assert parts.terms.of(TENANT) == Terms(url="https://app/{approvalId}")
    assert await parts.directory.members_of(TENANT, "finance") == frozenset()
    assert parts.file is None


async def test_terms_and_groups_come_from_the_file(file: Path) -> None:
    overlay = "approvals: {separation_of_duties: false, reason_on_rejection: true}"
    parts = build_approvals(settings(file, overlay=overlay))
    terms = parts.terms.of(TENANT)
    assert (terms.separate_duties, terms.reason_on_rejection) == (False, True)
    assert [stage.name for stage in terms.by_rule(100, 0).stages] == ["a"]
    assert await parts.directory.members_of(TENANT, "finance") == {"ada"}
    assert await parts.directory.groups_of(OTHER_TENANT, "bob") == {"finance"}


async def test_user_management_is_asked_instead_of_the_file(file: Path) -> None:
    async with user_management({TENANT: {"finance": ["cy"]}}) as service:
        parts = build_approvals(settings(file, USER_MANAGEMENT_URL=service.url, JWT_SECRET="s" * 32))
        assert await parts.directory.members_of(TENANT, "finance") == {"cy"}
        assert service.asked[0].headers["authorization"].startswith("Bearer ")
        assert service.asked[0].headers["user-agent"] == "workflow-orchestrator"


async def test_how_long_user_management_is_waited_for_is_a_setting(file: Path) -> None:
    async with user_management({}) as service:
        service.delay = 5
        overlay = "approvals: {directory_timeout_seconds: 0.1}"
        parts = build_approvals(settings(file, overlay=overlay, USER_MANAGEMENT_URL=service.url))
        with pytest.raises(DirectoryUnavailable, match=r"no answer within 0\.1 s"):
            await parts.directory.members_of(TENANT, "finance")


def test_a_bad_file_keeps_the_service_from_starting_and_every_fault_is_told(file: Path) -> None:
    file.write_text("tenants: {acme: {}, '*': {rules: [{policy: none}], groups: []}}")
    with pytest.raises(CannotStart) as refused:
        build_approvals(settings(file))
    lines = str(refused.value).splitlines()
    before = f'approvals.file (APPROVALS_FILE) is "{file}": '
    assert all(line.startswith(before) for line in lines)
    assert [line.removeprefix(before).partition(": ")[0] for line in lines] == [
        "tenants.acme",
        "tenants.*.groups",
        "tenants.*.rules[0].policy",
    ]


def test_a_file_that_is_not_there_or_is_none_keeps_the_service_from_starting(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r'none\.yaml": No such file or directory'):
        build_approvals(settings(tmp_path / "none.yaml"))
    with pytest.raises(CannotStart, match="Is a directory"):
        build_approvals(settings(tmp_path))


def test_whose_policies_there_are_and_where_groups_come_from_is_announced(file: Path) -> None:
    line, empty = told(settings(file))
    assert line == {
        "event": "approvals",
        "log_level": "info",
        "policies": f"tenants by name: 1 and all others; in {file}",
        "groups": f"those in {file}",
        "links": "none but those of requests",
        "separation_of_duties": (
            "on: who asks for an approval, owns the deal or is a delegate of theirs cannot approve it"
        ),
    }
    assert (empty["event"], empty["groups"]) == ("empty_groups", ["*: sales"])


def test_what_is_not_set_is_announced() -> None:
    (line,) = told(settings())
    assert line["policies"] == "those of requests alone: approvals.file is not set"
    assert line["groups"] == "none: neither approvals.file nor approvals.directory_url is set"


def test_user_management_is_announced_with_what_it_lacks(file: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    (line,) = told(settings(file, USER_MANAGEMENT_URL=url))
    assert line["groups"] == f"user-management at {url}, without a token: jwt.secret is not set"
    signed = settings(file, USER_MANAGEMENT_URL=url, JWT_SECRET="s" * 32)
    assert told(signed)[0]["groups"] == f"user-management at {url}"
    assert isinstance(build_approvals(signed).directory, HttpDirectory)


def test_a_warning_says_that_duties_are_not_separate(file: Path) -> None:
    line, _ = told(settings(file, overlay="approvals: {separation_of_duties: false}"))
    assert line["log_level"] == "warning"
    assert line["separation_of_duties"].startswith("off: who asks for an approval, or owns the deal")
