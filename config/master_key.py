"""The key over the personal keys: where it is from, and the other one while that takes its place."""

import base64
import binascii
import os
from pathlib import Path

from application.privacy.ciphers import KEY_BYTES, MasterKey, new_key
from config.key_files import key_text
from config.sections import Settings
from config.start import CannotStart

MASTER_KEY_FILE = "privacy-master.key"


def master_key_file_of(settings: Settings) -> Path | None:
    """Where it is kept: in the file that is named, or in that of an embedded store."""
    if settings.privacy.master_key.get_secret_value():
        return None
    if settings.privacy.master_key_file is not None:
        return settings.privacy.master_key_file
    return None if settings.storage.is_shared else settings.storage.data_dir / MASTER_KEY_FILE


def master_key_of(settings: Settings, *, makes_one: bool) -> MasterKey | None:
    """The master key, if there is one, with the other that is in use beside it during a rotation; that of an
    embedded store is made for its owner alone.

    Raises:
        CannotStart: it is given twice, or cannot be read, or is none.
    """
    key, other = _first_of(settings, makes_one=makes_one), _other_of(settings)
    if key is None:
        if other is not None and embedded_key_file_of(settings) is None:
            raise CannotStart("privacy.other_master_key is set, and privacy.master_key is not")
        return None
    return MasterKey(key) if other is None else MasterKey(key, other)


def former_key_file_of(file: Path) -> Path:
    """Where the former key of an embedded store is, while another takes its place."""
    return file.with_name(f"{file.name}.before")


def _other_of(settings: Settings) -> bytes | None:
    text, file = settings.privacy.other_master_key.get_secret_value(), settings.privacy.other_master_key_file
    if text:
        if file is not None:
            raise CannotStart(
                "privacy.other_master_key and privacy.other_master_key_file are both set: leave one empty"
            )
        return decoded(text, "privacy.other_master_key")
    if file is None and (embedded := embedded_key_file_of(settings)) is not None:
        former = former_key_file_of(embedded)
        return read_key(former) if former.exists() else None
    return None if file is None else read_key(file)


def embedded_key_file_of(settings: Settings) -> Path | None:
    """The file of a key that nobody has configured, and the service makes and keeps itself."""
    is_named = settings.privacy.master_key_file is not None
    return None if is_named else master_key_file_of(settings)


def _first_of(settings: Settings, *, makes_one: bool) -> bytes | None:
    text, file = settings.privacy.master_key.get_secret_value(), master_key_file_of(settings)
    if text:
        if settings.privacy.master_key_file is not None:
            raise CannotStart("privacy.master_key and privacy.master_key_file are both set: leave one empty")
        return decoded(text, "privacy.master_key")
    if file is None:
        return None
    if settings.privacy.master_key_file is None and not file.exists():
        if not makes_one:
            return None
        _make(file)
    return read_key(file)


def read_key(file: Path) -> bytes:
    """The key in a file.

    Raises:
        CannotStart: it cannot be read, or is none.
    """
    try:
        return decoded(key_text(file).decode("ascii"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{file}: the master key of personal fields cannot be read: {error}") from error


def written_beside(file: Path) -> Path:
    """A new key, on the disk in a file for its owner alone that is to get another name."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "wb") as opened:
        opened.write(base64.b64encode(new_key()) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    return beside


def _make(file: Path) -> None:
    """Written beside and linked, so that nobody finds it half-written, nor makes another."""
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


def decoded(text: str, where: str) -> bytes:
    """The key that a text says.

    Raises:
        CannotStart: it says none.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise CannotStart(
            f"{where}: allowed are {KEY_BYTES} bytes in base64: openssl rand -base64 {KEY_BYTES}"
        )
    return key
