"""Checks what the index knows of sealed values: by it an erasure finds the streams that it is to name.

What it knows beyond that does no harm: an erasure names a stream too many.
"""

from application.audit.findings import Finding, Report
from application.audit.ports import IndexReader, Noted

_PAGE = 2_000


class SealedCheck:
    """The streams that the log's events have values in, by key, as far as they have been read.

    Of a stream its hash alone is kept, some 75 bytes: there may be as many as there are events.
    """

    def __init__(self, index: IndexReader) -> None:
        self._index = index
        self._streams: dict[tuple[str, str], set[int]] = {}

    def take(self, event: Noted) -> None:
        """An event that the index has, and that is as it was indexed."""
        stream = event.entry.stream
        for key in event.keys:
            self._streams.setdefault((stream.partition("/")[0], key), set()).add(hash(stream))

    async def end(self, report: Report) -> None:
        """All has been read: the index has to know each of them."""
        for (tenant, key), streams in self._streams.items():
            after = ""
            while streams and (page := await self._index.sealed_streams(tenant, key, after, _PAGE)):
                streams.difference_update(map(hash, page))
                after = page[-1]
            if streams:
                what = (
                    f"the index does not know {len(streams)} of the streams that have values sealed under the"
                    f" key {key}: an erasure would not name them"
                )
                report.add(Finding(kind="index_altered", what=what, tenant_id=tenant))
