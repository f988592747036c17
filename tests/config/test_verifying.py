"""A comparison whose own file cannot be made is given up in a line: it found no difference."""

from pathlib import Path

import pytest

from config.commands import verify as command
from config.commands.verify import SCRATCH_FILE, Differs, verify
from config.start import CannotStart
from domain.errors import StoreUnavailable
from tests.harness import service, settings_in

pytestmark = pytest.mark.anyio


async def given_up(folder: Path) -> str:
    """What a comparison says that is given up, beside a log."""
    settings = settings_in(folder)
    async with service(settings):
        pass
    with pytest.raises(CannotStart) as refused:
        await verify(settings, ())
    assert not isinstance(refused.value, Differs)
    return str(refused.value)


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(path: Path) -> None:
        raise StoreUnavailable(f"{path}: unable to open database file")

    monkeypatch.setattr(command, "SqliteScratch", away)
    said = await given_up(tmp_path)
    assert said == (
        f"stopped before the end, verify again: {tmp_path / 'data' / SCRATCH_FILE}: unable to open database"
        " file"
    )


async def test_so_is_one_whose_place_is_taken(tmp_path: Path) -> None:
    taken = tmp_path / "data" / SCRATCH_FILE
    taken.mkdir(parents=True)
    assert f"{taken}: Is a directory" in await given_up(tmp_path)
