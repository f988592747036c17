"""Anchors in a file: NDJSON that is only added to."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from anyio.to_thread import run_sync

from application.audit.anchors import Anchor
from application.bounded_lines import LineTooLong, lines_in
from application.synced_folder import sync_folder
from domain.errors import AnchorFileUnavailable

_anchor = msgspec.json.Decoder(Anchor)


class NoAnchorFile:
    """Where the messages alone are kept, by others."""

    async def append(self, anchors: Sequence[Anchor]) -> None:
        """Nothing."""

    async def last(self) -> Sequence[Anchor]:
        """None."""
        return ()


class NdjsonAnchorFile:
    """One file; several processes may add to it, each a whole write at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def append(self, anchors: Sequence[Anchor]) -> None:
        """Add them, on the disk when it returns.

        Raises:
            AnchorFileUnavailable: they are not known to be there.
        """
        if anchors:
            content = b"".join(msgspec.json.encode(anchor) + b"\n" for anchor in anchors)
            try:
                await run_sync(self._append, content)
            except OSError as error:
                raise AnchorFileUnavailable(f"{self._path}: {error.strerror}") from error

    async def last(self) -> Sequence[Anchor]:
        """The last of each tenant in it; none where there is no file.

        Raises:
            AnchorFileUnavailable: it cannot be read.
        """
        try:
            return await run_sync(self._last)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise AnchorFileUnavailable(f"{self._path}: {error.strerror}") from error
        except LineTooLong as error:
            raise AnchorFileUnavailable(f"{self._path}: {error}") from error

    def _append(self, content: bytes) -> None:
        is_new = not self._path.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                content = b"\n" + content
            while content:
                content = content[os.write(handle, content) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        if is_new:
            sync_folder(self._path.parent)

    def _last(self) -> Sequence[Anchor]:
        found: dict[str, Anchor] = {}
        with self._path.open("rb") as lines:
            for line in lines_in(lines):
                try:
                    anchor = _anchor.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue
                known = found.get(anchor.tenant_id)
                if known is None or known.sequence < anchor.sequence:
                    found[anchor.tenant_id] = anchor
        return list(found.values())
