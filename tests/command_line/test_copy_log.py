"""`copy-log`, as an operator sees it."""

import hashlib
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from infrastructure.postgres.schema import migrate
from infrastructure.sqlite.event_store import followers_file
from tests.command_line.test_commands import only_line
from tests.command_line.test_migrate import MISSING
from tests.harness import run_command, service_process
from tests.moved_logs import EVENTS, NOTHING, appended, file_of, fill, held, kind_of, run
from tests.services import free_port


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A log in SQLite."""
    url = f"sqlite:///{tmp_path / 'data' / 'events.db'}"
    (tmp_path / "data").mkdir()
    fill(url)
    return url


def copy_log(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return run_command("copy-log", *arguments, timeout=60, **environ)


def refused(*arguments: str, **environ: str) -> str:
    """The one line of a copy that is refused before it begins."""
    ended = copy_log(*arguments, **environ)
    assert ended.returncode == 1
    assert ended.stdout == ""
    return only_line(ended.stderr)


def succeeded(source: str, target: str) -> list[str]:
    """What a copy says, the labels of the progress bars left out."""
    ended = copy_log("--from", source, "--to", target)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()[2:]


def with_password(url: str) -> str:
    return url.replace("postgres@", "postgres:hush-hush@")


def test_options_that_are_of_no_use_are_told_in_one_line(tmp_path: Path) -> None:
    """Which ones, and what is told: ``tests/config/test_copy_log.py``."""
    assert refused().startswith("--from: it is missing; allowed: sqlite:///path, postgresql://")
    line = refused(
        "--from", f"sqlite:///{tmp_path / 'none.db'}", "--to", "mysql://user:hush-hush@store/events"
    )
    assert line.startswith("--to is ")
    assert "hush-hush" not in line


def test_a_source_without_its_followers_file_is_told(tmp_path: Path, source: str) -> None:
    file = followers_file(file_of(source))
    file.unlink()
    line = refused("--from", source, "--to", f"sqlite:///{tmp_path / 'to' / 'events.db'}")
    assert f"there is no {file}" in line
    assert not file.exists()


@pytest.mark.parametrize("side", ["--from", "--to"])
def test_a_file_that_is_no_log_is_told(tmp_path: Path, source: str, side: str) -> None:
    (tmp_path / "other").mkdir()
    file = tmp_path / "other" / "events.db"
    file.write_text("this is no database, and long enough to be seen as none. " * 20)
    urls = {"--from": source, "--to": f"sqlite:///{tmp_path / 'to' / 'events.db'}", side: f"sqlite:///{file}"}
    line = refused(*(part for option in urls.items() for part in option))
    assert str(tmp_path / "other") in line


@pytest.mark.parametrize("side", ["--from", "--to"])
def test_a_store_that_stays_away_is_told(tmp_path: Path, source: str, side: str) -> None:
    away = f"postgresql://postgres:hush-hush@127.0.0.1:{free_port()}/none"
    urls = {"--from": source, "--to": f"sqlite:///{tmp_path / 'to' / 'events.db'}", side: away}
    ended = copy_log(*(part for option in urls.items() for part in option), STORE_STARTUP_TIMEOUT_SECONDS="1")
    assert ended.returncode == 1
    assert "was unavailable for 1 s" in ended.stderr.strip().splitlines()[-1]
    for hidden in ("Traceback", "hush-hush"):
        assert hidden not in ended.stdout + ended.stderr


@pytest.mark.postgres
def test_a_target_without_a_schema_is_refused_as_serve_refuses_it(source: str, postgres_url: str) -> None:
    assert refused("--from", source, "--to", postgres_url) == MISSING
    migrate(postgres_url, to=1)
    line = refused("--from", source, "--to", postgres_url)
    assert "version 1" in line
    assert line.endswith("run: workflow-orchestrator migrate")


@pytest.mark.postgres
def test_a_source_without_a_schema_is_told_with_its_option(tmp_path: Path, postgres_url: str) -> None:
    line = refused("--from", postgres_url, "--to", f"sqlite:///{tmp_path / 'events.db'}")
    assert line == f"--from: {MISSING}"


def test_a_folder_on_which_a_service_runs_is_refused_on_either_side(tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other' / 'events.db'}"
    (tmp_path / "other").mkdir()
    fill(other)
    with service_process(tmp_path) as service:
        running = f"sqlite:///{service.data_dir / 'events.db'}"
        for arguments in (("--from", running, "--to", other), ("--from", other, "--to", running)):
            line = refused(*arguments)
            assert f"{service.data_dir} is in use by another process" in line
            assert line.startswith(arguments[0 if running == arguments[1] else 2])


@pytest.mark.postgres
def test_a_log_goes_there_and_back_and_both_sides_are_told_by_count_and_hash(
    tmp_path: Path, source: str, postgres_store_url: str
) -> None:
    before, target = held(source), with_password(postgres_store_url)
    back = f"sqlite:///{tmp_path / 'back' / 'events.db'}"
    told = succeeded(source, target)
    assert held(postgres_store_url) == before
    told_back = succeeded(target, back)
    assert held(back) == before

    digest = f"1197 events, sha256 {sha256_of(source)}"
    assert told == [
        f"--from  {digest}  {source}",
        f"--to    {digest}  {with_password(postgres_store_url).replace('hush-hush', '***')}",
        "beside it: 600 timers, 600 calls, positions: outbox log-1200-abc, step-deadlines log-1193-def",
        "copied and verified",
    ]
    assert [line[8 : 8 + len(digest)] for line in told_back[:2]] == [digest] * 2
    assert appended(postgres_store_url, "t/job/next", 1) == appended(back, "t/job/next", 1) == [1201]


def sha256_of(url: str) -> str:
    """The hash as the decision describes it, made by hand."""
    return hashlib.sha256(b"".join(msgspec.msgpack.encode(row) for row in held(url).events)).hexdigest()


@pytest.mark.postgres
def test_running_it_twice_is_harmless(source: str, postgres_store_url: str) -> None:
    first, second = (succeeded(source, postgres_store_url) for _ in range(2))
    assert first[-1] == "copied and verified"
    assert second == [*first[:-1], "verified: the same log was there already"]


@pytest.mark.postgres
def test_a_target_that_holds_events_of_its_own_is_refused_with_both_counts(
    source: str, postgres_store_url: str
) -> None:
    appended(postgres_store_url, "t/job/other", 1, 2)
    before = held(postgres_store_url)
    line = refused("--from", source, "--to", postgres_store_url)
    assert line.startswith("the target holds 2 events already, and the source 1197")
    assert held(postgres_store_url) == before


@pytest.mark.postgres
@pytest.mark.parametrize("target", ["postgresql", "sqlite"])
def test_a_target_that_was_tampered_with_is_told_with_both_hashes(
    tmp_path: Path, source: str, postgres_store_url: str, target: str
) -> None:
    url = postgres_store_url if target == "postgresql" else f"sqlite:///{tmp_path / 'to' / 'events.db'}"
    succeeded(source, url)
    table, id = EVENTS[kind_of(url)]
    run(url, f"UPDATE {table} SET topic = 'tost' WHERE {id} = 777")
    ended = copy_log("--from", source, "--to", url)
    assert ended.returncode == 1
    line = only_line(ended.stderr)
    assert line.startswith("the target holds another log already")
    assert len(set(re.findall("[0-9a-f]{64}", line))) == 2


@pytest.mark.postgres
def test_a_store_that_alters_what_is_written_is_told_and_holds_nothing(
    source: str, postgres_store_url: str
) -> None:
    run(
        postgres_store_url,
        "CREATE FUNCTION dropping() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER dropping BEFORE INSERT ON workflow_orchestrator_events"
        " FOR EACH ROW WHEN (new.notification_id = 777) EXECUTE FUNCTION dropping()",
    )
    ended = copy_log("--from", source, "--to", postgres_store_url)
    assert ended.returncode == 1
    line = only_line(ended.stderr)
    assert "1197 events, sha256" in line
    assert "the target held 1196 events, sha256" in line
    assert held(postgres_store_url) == NOTHING


@pytest.mark.postgres
def test_who_may_not_write_to_the_target_is_told_so(source: str, postgres_store_url: str) -> None:
    url = f"{postgres_store_url}?options=-cdefault_transaction_read_only%3Don"
    ended = copy_log("--from", source, "--to", url, STORE_STARTUP_TIMEOUT_SECONDS="1")
    assert ended.returncode == 1
    assert "session is read-only" in ended.stderr.splitlines()[-1]
