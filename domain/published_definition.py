"""PublishedDefinition: a tenant's own workflow definition, over all its versions.

A version never changes. Publishing the same content again makes no new version. A retired version starts no
more workflows. Running workflows continue, because they are pinned to the version that they began with.
"""

import zlib
from datetime import datetime
from typing import Any

import msgspec

from domain.definition import WorkflowDefinition
from domain.errors import DefinitionExists, DefinitionNotFound
from domain.event import Event, stored_as
from domain.values import StreamName


def definition_stream(tenant: str, name: str) -> str:
    """Return the name of a definition's stream."""
    return str(StreamName(tenant, "definition", name))


@stored_as("definition.published")
class DefinitionPublished(Event, frozen=True, kw_only=True, omit_defaults=True):
    """There is a new version."""

    name: str
    version: int
    definition: WorkflowDefinition
    published_at: datetime


@stored_as("definition.retired")
class DefinitionRetired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Versions are retired. ``newest`` is the newest that is not; without it all are."""

    name: str
    versions: tuple[int, ...]
    newest: WorkflowDefinition | None = None
    retired_at: datetime


class PublishedDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """Every version that was ever published, and which of them are retired.

    ``newest`` is the newest version that is not retired, or None if all are. Their number has no limit and
    hardly any is asked for, so all are ``packed``, in order: a version of 180 KB takes 3 MB in memory, and
    some KB packed.
    """

    newest: WorkflowDefinition | None = None
    packed: tuple[bytes, ...] = ()
    retired: frozenset[int] = frozenset()

    @property
    def last_version(self) -> int:
        """The number of the version that was published last, retired or not."""
        return len(self.packed)

    def version(self, version: int) -> WorkflowDefinition | None:
        """Return a version, retired or not."""
        return _unpacked(self.packed[version - 1]) if 1 <= version <= self.last_version else None


def publish(
    state: PublishedDefinition | None,
    definition: WorkflowDefinition,
    *,
    as_new: bool,
    now: datetime,
) -> tuple[Event, ...]:
    """Publish the next version, or nothing if the newest is the same except for its number.

    Raises:
        DefinitionExists: it should be new, but there is one of that name.
    """
    newest = state.newest if state else None
    if newest is not None and _content(newest) == _content(definition):
        return ()
    if newest is not None and as_new:
        raise DefinitionExists(
            f"the workflow definition {definition.name} already exists", {"version": newest.version}
        )
    version = 1 + (state.last_version if state else 0)
    return (
        DefinitionPublished(
            name=definition.name,
            version=version,
            definition=msgspec.structs.replace(definition, version=version),
            published_at=now,
        ),
    )


def retire(
    state: PublishedDefinition | None, *, name: str, version: int | None, now: datetime
) -> tuple[Event, ...]:
    """Retire a version, or all versions. A retired one stays so.

    Raises:
        DefinitionNotFound: there is no such definition, or not that version of it.
    """
    if state is None or (version is not None and state.version(version) is None):
        wanted = name if version is None else f"{name} version {version}"
        raise DefinitionNotFound(f"there is no workflow definition {wanted}")
    chosen = range(1, state.last_version + 1) if version is None else [version]
    versions = tuple(each for each in chosen if each not in state.retired)
    if not versions:
        return ()
    retired = state.retired.union(versions)
    left = (each for each in range(state.last_version, 0, -1) if each not in retired)
    newest = state.version(next(left, 0))
    return (DefinitionRetired(name=name, versions=versions, newest=newest, retired_at=now),)


def evolve(state: PublishedDefinition | None, event: Event) -> PublishedDefinition:
    """Return the definition after ``event``."""
    definition = state or PublishedDefinition()
    match event:
        case DefinitionPublished():
            packed = (*definition.packed, _packed(event.definition))
            return msgspec.structs.replace(definition, newest=event.definition, packed=packed)
        case DefinitionRetired():
            retired = definition.retired.union(event.versions)
            return msgspec.structs.replace(definition, newest=event.newest, retired=retired)
    raise TypeError(f"{event!r} is no event of a workflow definition")


def _packed(definition: WorkflowDefinition) -> bytes:
    return zlib.compress(msgspec.json.encode(definition), level=1)


def _unpacked(packed: bytes) -> WorkflowDefinition:
    return msgspec.json.decode(zlib.decompress(packed), type=WorkflowDefinition)


def _content(definition: WorkflowDefinition) -> bytes:
    """Return everything but the number. Structs are not compared, because 1, 1.0 and true are equal in
    Python."""
    return msgspec.json.encode(_members(msgspec.structs.replace(definition, version=0)), order="sorted")


def _members(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _members(getattr(value, name)) for name in value.__struct_fields__}
    return [_members(each) for each in value] if isinstance(value, tuple) else value
