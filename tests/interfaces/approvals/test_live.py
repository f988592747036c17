"""The approvals file while the service runs, and the terms that come of it."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from application.approval_terms import Terms
from interfaces.approvals.file import NOTHING, BadApprovals, LaidDown
from interfaces.approvals.live import LOOK_SECONDS, LiveApprovals
from interfaces.approvals.terms import SettledTerms
from tests.builders import OTHER_TENANT, TENANT


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def forward(self) -> None:
        """Let as much time pass as it takes until the file is looked at again."""
        self.seconds += LOOK_SECONDS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "approvals.yaml"


@pytest.fixture
def watch() -> Watch:
    return Watch()


def write(file: Path, text: str) -> None:
    """As editors and Kubernetes do: the new file takes the old one's place."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)


def tenant_with(member: str, *, name: str = TENANT) -> str:
    return f"tenants: {{'{name}': {{groups: {{finance: [{member}]}}}}}}"


def members(live: LiveApprovals, tenant: str = TENANT) -> frozenset[str]:
    return live.of(tenant).groups.get("finance", frozenset())


def test_a_tenant_that_is_not_named_has_what_is_for_all_and_one_that_is_inherits_nothing(file: Path) -> None:
    file.write_text(f"tenants: {{'*': {{groups: {{finance: [ada]}}}}, {OTHER_TENANT}: {{}}}}")
    live = LiveApprovals(file)
    assert members(live) == {"ada"}
    assert live.of(OTHER_TENANT) == NOTHING


def test_without_all_a_tenant_that_is_not_named_has_nothing(file: Path) -> None:
    file.write_text(tenant_with("ada"))
    assert LiveApprovals(file).of(OTHER_TENANT) == NOTHING


def test_a_bad_file_is_refused_at_first(file: Path) -> None:
    file.write_text("tenants: {acme: {}}")
    with pytest.raises(BadApprovals, match=r"tenants\.acme"):
        LiveApprovals(file)
    with pytest.raises(FileNotFoundError):
        LiveApprovals(file.with_name("none.yaml"))


def test_a_change_counts_once_it_is_looked_for(file: Path, watch: Watch) -> None:
    file.write_text(tenant_with("ada"))
    live = LiveApprovals(file, now=watch)
    write(file, tenant_with("bob"))
    assert members(live) == {"ada"}
    watch.forward()
    assert members(live) == {"bob"}


def test_a_change_in_place_counts_too(file: Path, watch: Watch) -> None:
    file.write_text(tenant_with("ada"))
    live = LiveApprovals(file, now=watch)
    file.write_text(tenant_with("adele"))
    watch.forward()
    assert members(live) == {"adele"}


def test_a_file_that_has_not_changed_is_not_read_again(file: Path, watch: Watch) -> None:
    file.write_text(tenant_with("ada"))
    live = LiveApprovals(file, now=watch)
    first = live.tenants()
    watch.forward()
    assert live.tenants() is first


def test_a_bad_change_is_told_once_and_changes_nothing(file: Path, watch: Watch) -> None:
    file.write_text(tenant_with("ada"))
    live = LiveApprovals(file, now=watch)
    write(file, "tenants: {acme: {}, '*': {groups: []}}")
    with capture_logs() as logs:
        for _ in range(3):
            watch.forward()
            assert members(live) == {"ada"}
    (told,) = logs
    assert (told["event"], told["log_level"]) == ("approvals_file_bad", "error")
    assert [fault.partition(": ")[0] for fault in told["faults"]] == ["tenants.acme", "tenants.*.groups"]
    write(file, tenant_with("bob"))
    watch.forward()
    assert members(live) == {"bob"}


def test_a_file_that_is_gone_is_told_once_and_changes_nothing(file: Path, watch: Watch) -> None:
    file.write_text(tenant_with("ada"))
    live = LiveApprovals(file, now=watch)
    file.unlink()
    with capture_logs() as logs:
        for _ in range(3):
            watch.forward()
            assert members(live) == {"ada"}
    (told,) = logs
    assert (told["event"], told["log_level"]) == ("approvals_file_unreadable", "error")
    write(file, tenant_with("bob"))
    watch.forward()
    assert members(live) == {"bob"}


def test_terms_are_what_a_tenant_has_laid_down_and_what_the_settings_say_for_all() -> None:
    laid_down = {TENANT: LaidDown(Terms(in_requests="none"))}
    terms = SettledTerms(
        lambda tenant: laid_down.get(tenant, NOTHING),
        separate_duties=False,
        reason_on_rejection=True,
        url="https://app/{approvalId}",
    )
    of_all = Terms(separate_duties=False, reason_on_rejection=True, url="https://app/{approvalId}")
    assert terms.of(OTHER_TENANT) == of_all
    assert terms.of(TENANT).in_requests == "none"
    assert terms.of(TENANT).url_of("a-1") == "https://app/a-1"
    laid_down[TENANT] = NOTHING
    assert terms.of(TENANT) == of_all
