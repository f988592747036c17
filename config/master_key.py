"""The key over the personal keys: where it comes from, and the other key while one replaces the other."""

import base64
import os
from pathlib import Path

from application.privacy.ciphers import KEY_BYTES, MasterKey, new_key
from config.faults import Path as SettingPath
from config.faults import SettingFault
from config.key_files import key_text
from config.sections import Settings
from config.start import CannotStart
from config.wrong_settings import WrongSettings, both_set

MASTER_KEY_FILE = "privacy-master.key"

_KEY, _FILE = ("privacy", "master_key"), ("privacy", "master_key_file")
_OTHER, _OTHER_FILE = ("privacy", "other_master_key"), ("privacy", "other_master_key_file")
_ALLOWED = f"{KEY_BYTES} bytes in base64: openssl rand -base64 {KEY_BYTES}"


def master_key_file_of(settings: Settings) -> Path | None:
    """Return where it is stored: in the configured file, or in that of an embedded store."""
    if settings.privacy.master_key.get_secret_value():
        return None
    if settings.privacy.master_key_file is not None:
        return settings.privacy.master_key_file
    return None if settings.storage.is_shared else settings.storage.data_dir / MASTER_KEY_FILE


def master_key_of(settings: Settings, *, makes_one: bool) -> MasterKey | None:
    """Return the master key, if there is one, with the other key that is used beside it during a rotation.
    The key of an embedded store is created, for its owner alone.

    Raises:
        CannotStart: it is given twice, or cannot be read, or is invalid.
    """
    key, other = _first_of(settings, makes_one=makes_one), _other_of(settings)
    if key is None:
        require_first_key(settings)
        return None
    return MasterKey(key) if other is None else MasterKey(key, other)


def former_key_file_of(file: Path) -> Path:
    """Return where the former key of an embedded store is while another replaces it."""
    return file.with_name(f"{file.name}.before")


def _other_of(settings: Settings) -> bytes | None:
    other = read_other_key(settings)
    if other is None and (embedded := embedded_key_file_of(settings)) is not None:
        former = former_key_file_of(embedded)
        return read_key(former) if former.exists() else None
    return other


def embedded_key_file_of(settings: Settings) -> Path | None:
    """Return the file of a key that nobody has configured, which the service creates and keeps itself."""
    is_named = settings.privacy.master_key_file is not None
    return None if is_named else master_key_file_of(settings)


def _first_of(settings: Settings, *, makes_one: bool) -> bytes | None:
    file = embedded_key_file_of(settings)
    if file is None:
        return read_present_key(settings)
    if not file.exists():
        if not makes_one:
            return None
        _make(file)
    return read_key(file)


def read_present_key(settings: Settings) -> bytes | None:
    """Return the master key, if somebody has configured one.

    Raises:
        WrongSettings: it is given twice, or cannot be read, or is invalid.
    """
    privacy = settings.privacy
    return _configured(settings, privacy.master_key.get_secret_value(), privacy.master_key_file, _KEY, _FILE)


def read_other_key(settings: Settings) -> bytes | None:
    """Return the other key, if somebody has configured one.

    Raises:
        WrongSettings: it is given twice, or cannot be read, or is invalid.
    """
    text, file = settings.privacy.other_master_key.get_secret_value(), settings.privacy.other_master_key_file
    return _configured(settings, text, file, _OTHER, _OTHER_FILE)


def require_first_key(settings: Settings) -> None:
    """Check that the other key comes with a configured master key, or with one that an embedded store has
    created.

    Raises:
        WrongSettings: it does not.
    """
    privacy = settings.privacy
    is_there = privacy.master_key.get_secret_value() or master_key_file_of(settings) is not None
    for path, other in (
        (_OTHER, privacy.other_master_key.get_secret_value()),
        (_OTHER_FILE, privacy.other_master_key_file),
    ):
        if other and not is_there:
            reason = "privacy.master_key, which it would stand beside, is not set"
            raise WrongSettings(settings, [SettingFault(path, reason)])


def _configured(
    settings: Settings, text: str, file: Path | None, of_text: SettingPath, of_file: SettingPath
) -> bytes | None:
    if text and file is not None:
        raise WrongSettings(settings, [both_set(of_text, of_file)])
    where = of_text if file is None else of_file
    try:
        if file is not None:
            text = key_text(file).decode("ascii")
        return _decoded(text) if text or file is not None else None
    except OSError as error:
        raise WrongSettings(settings, [SettingFault(where, f"{error.strerror}")]) from error
    except ValueError:
        raise WrongSettings(settings, [SettingFault(where, allowed=_ALLOWED)]) from None


def read_key(file: Path) -> bytes:
    """Return the key in a file.

    Raises:
        CannotStart: it cannot be read, or is invalid.
    """
    try:
        return _decoded(key_text(file).decode("ascii"))
    except OSError as error:
        raise CannotStart(f"{file}: the master key of personal fields cannot be read: {error}") from error
    except ValueError:
        raise CannotStart(f"{file}: allowed are {_ALLOWED}") from None


def written_beside(file: Path) -> Path:
    """Write a new key to the disk, in a file for its owner alone that will be renamed. Return that file."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "wb") as opened:
        opened.write(base64.b64encode(new_key()) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    return beside


def _make(file: Path) -> None:
    """Create a key. It is written beside and then linked, so that nobody finds it half-written, or creates
    another."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = written_beside(file)
    except OSError as error:
        raise CannotStart(f"{file}: the master key of personal fields cannot be made: {error}") from error
    try:
        os.link(beside, file)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def _decoded(text: str) -> bytes:
    """Return the key in a text.

    Raises:
        ValueError: there is none.
    """
    key = base64.b64decode(text.strip(), validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError
    return key
