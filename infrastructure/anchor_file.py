"""Anchors in an NDJSON file to which lines are only ever appended."""

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
    """Used when no anchor file is configured: others keep the anchors that are sent as messages."""

    async def append(self, anchors: Sequence[Anchor]) -> None:
        """Do nothing."""

    async def last(self) -> Sequence[Anchor]:
        """Return no anchors."""
        return ()


class NdjsonAnchorFile:
    """One file. Several processes may append to it, because each append is one write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def append(self, anchors: Sequence[Anchor]) -> None:
        """Append anchors. They are on the disk when the call returns.

        Raises:
            AnchorFileUnavailable: it is not known whether they are in the file.
        """
        if anchors:
            content = b"".join(msgspec.json.encode(anchor) + b"\n" for anchor in anchors)
            try:
                await run_sync(self._append, content)
            except OSError as error:
                raise AnchorFileUnavailable(f"{self._path}: {error.strerror}") from error

    async def last(self) -> Sequence[Anchor]:
        """Return the last anchor of each tenant in the file, or none if there is no file.

        Raises:
            AnchorFileUnavailable: the file cannot be read.
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
