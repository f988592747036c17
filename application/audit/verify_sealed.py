"""Checks the index of sealed values, by which an erasure finds the streams that it must name.

Additional entries do no harm: an erasure then names a stream too many.
"""

from application.audit.findings import Finding, Report
from application.audit.ports import IndexReader, Noted

_PAGE = 2_000


class SealedCheck:
    """Collects the streams with sealed values, by key, while the log is read.

    Only the hash of a stream's name is kept (about 75 bytes), because there may be as many streams as events.
    """

    def __init__(self, index: IndexReader) -> None:
        self._index = index
        self._streams: dict[tuple[str, str], set[int]] = {}

    def take(self, event: Noted) -> None:
        """Take an event that is indexed and unchanged."""
        stream = event.entry.stream
        for key in event.keys:
            self._streams.setdefault((stream.partition("/")[0], key), set()).add(hash(stream))

    async def end(self, report: Report) -> None:
        """Add the streams that the index does not have to the report, after the whole log has been read."""
        for (tenant, key), streams in self._streams.items():
            after = ""
            while streams and (page := await self._index.sealed_streams(tenant, key, after, _PAGE)):
                streams.difference_update(map(hash, page))
                after = page[-1]
            if streams:
                what = (
                    f"the index lacks {len(streams)} of the streams with values that the key {key} has"
                    " sealed: an erasure would not name them"
                )
                report.add(Finding(kind="index_altered", what=what, tenant_id=tenant))
