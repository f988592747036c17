"""Which stores `copy-log` takes, and how it says no to the others."""

from pathlib import Path

import pytest

from config.commands.copy_log import copy_log
from config.start import CannotStart
from tests.harness import settings_in

pytestmark = pytest.mark.anyio

POSTGRES = "postgresql://postgres@127.0.0.1:1/events"
SQLITE = "sqlite:////none/events.db"


async def refused(folder: Path, source: str | None, target: str | None) -> str:
    """The one line that says why nothing is copied."""
    with pytest.raises(CannotStart) as refusal:
        await copy_log(settings_in(folder), source, target)
    (line,) = str(refusal.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("source", "target", "option"),
    [(None, None, "--from"), (None, POSTGRES, "--from"), (SQLITE, None, "--to"), ("", POSTGRES, "--from")],
)
async def test_an_option_that_is_missing_is_told(
    tmp_path: Path, source: str | None, target: str | None, option: str
) -> None:
    line = await refused(tmp_path, source, target)
    assert line.startswith(f"{option}: it is missing; allowed: sqlite:///path, postgresql://")
    assert "empty" not in line


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hush-hush@127.0.0.1/events",
        "sqlite:events.db",
        "sqlite:///:memory:",
        "postgresql://user:hush-hush@127.0.0.1:port/events",
        "postgresql://user:hush/hush-hush@127.0.0.1/events",
        "postgresql://user:hush-hush@127.0.0.1/events?nonsense=1",
        "postgresql://user:hush-hush@[::1]x/events",
        "postgresql://user:hush-hush%3@127.0.0.1/events",
        "postgresql://user:hush-hush%00@127.0.0.1/events",
        "events.db",
    ],
)
async def test_a_url_that_is_none_is_told_with_its_option_and_without_its_password(
    tmp_path: Path, option: str, url: str
) -> None:
    other = "sqlite:///other.db"
    line = await refused(tmp_path, *((url, other) if option == "--from" else (other, url)))
    assert line.startswith(f"{option} ")
    assert "hush-hush" not in line


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (SQLITE, SQLITE),
        ("sqlite:///data/events.db", "sqlite:///data/../data/events.db"),
        ("postgresql://ann:hush-hush@store/events", "postgresql://bob@store:5432/events?sslmode=disable"),
        ("postgresql://ann:hush-hush@store", "postgresql://ann@store/ann"),
    ],
)
async def test_two_names_of_one_store_are_told(tmp_path: Path, source: str, target: str) -> None:
    line = await refused(tmp_path, source, target)
    assert line.startswith("--from and --to name the same store: ")
    assert "hush-hush" not in line


async def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path)
    urls = (f"sqlite:///{tmp_path / 'events.db'}", f"sqlite:///{tmp_path / 'linked' / 'events.db'}")
    assert "name the same store" in await refused(tmp_path, *urls)


async def test_a_source_that_does_not_exist_is_told_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "none" / "events.db"
    line = await refused(tmp_path, f"sqlite:///{file}", f"sqlite:///{tmp_path / 'to' / 'events.db'}")
    assert line == f"--from: there is no {file}"
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("")
    target = f"sqlite:///{tmp_path / 'events.db' / 'to' / 'events.db'}"
    line = await refused(tmp_path, f"sqlite:///{tmp_path / 'events.db'}", target)
    assert line.startswith(f"--to: {tmp_path / 'events.db' / 'to'} cannot be used: ")
