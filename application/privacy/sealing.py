"""Seals the personal fields of a state before it is stored, and opens them when it is read.

The sealed values are outside the payload, in the state's member ``sealed``, which no input can set: it has
the place, the key's ID and the encrypted value of each. In the payload they are replaced by ``ERASED``. So a
process without the key, or of an older release, reads them as erased, and no text can pass as a sealed value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from application.privacy import ciphers
from application.privacy.keyring import Keyring
from domain.event import Recorded
from domain.privacy import DECISION, ERASED, FREE_FORM, SAID, SAID_IN_DECISIONS
from domain.values import id_of, is_person

Path = tuple[str | int, ...]


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was taken out of the payload: its place, the ID of its key, and the encrypted value."""

    at: Path
    key: str
    text: str


class PersonalNames:
    """The names of personal members of free-form data, each with the name of a member beside or above it that
    identifies whose value it is.

    Besides those in the settings, these are the texts that people wrote in decisions.
    """

    def __init__(self, subjects: Mapping[str, str]) -> None:
        self.subjects = subjects
        names = "|".join(map(re.escape, (*subjects, *SAID_IN_DECISIONS.values())))
        self._pattern = re.compile(rf'"(?:{names})":'.encode())

    def may_be_in(self, state: bytes) -> bool:
        """Return whether a state may contain such a member. This searches the bytes, which is fast."""
        return self._pattern.search(state) is not None

    def found_in(
        self, value: Any, path: Path, around: tuple[Mapping[str, Any], ...]
    ) -> Iterator[tuple[Path, str | None]]:
        """Yield the place of each personal member, and its subject if the data names one."""
        if isinstance(value, dict):
            around = (value, *around)
            said = _said_in(value)
            for name, inner in value.items():
                if name in self.subjects:
                    yield (*path, name), _named(self.subjects[name], around)
                elif name in said:
                    yield (*path, name), said[name]
                else:
                    yield from self.found_in(inner, (*path, name), around)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from self.found_in(inner, (*path, number), around)


class Sealing:
    """Seals the personal fields of events with the keys of a keyring."""

    def __init__(self, keyring: Keyring, names: PersonalNames) -> None:
        self.keyring = keyring
        self._names = names

    def seal(self, recorded: Recorded, state: bytes) -> bytes:
        """Return an event's state with its personal fields sealed, or unchanged if it has none.

        Raises:
            StoreUnavailable: a key cannot be read or created. Nothing personal is stored unencrypted instead.
        """
        topic = recorded.event.TOPIC
        said, free_form = SAID.get(topic), FREE_FORM.get(topic, ())
        has_said = said is not None and isinstance(getattr(recorded.event, said.field), str)
        if not has_said and not (free_form and self._names.may_be_in(state)):
            return state
        stored = msgspec.json.decode(state)
        data, sealed = stored["data"], []
        for path, subject in self._places(recorded, data):
            key_id, key = self.keyring.key_of(recorded.meta.tenant, subject)
            holder = _at(data, path[:-1])
            value = msgspec.json.encode(holder[path[-1]])
            text = ciphers.seal(key, value, place_of(recorded.stream, recorded.version, path))
            holder[path[-1]] = ERASED
            sealed.append(Sealed(at=path, key=key_id, text=text))
        if not sealed:
            return state
        return msgspec.json.encode(stored | {"sealed": sealed})

    def _places(self, recorded: Recorded, data: dict[str, Any]) -> list[tuple[Path, str]]:
        """Return the place and the subject of every personal value in a payload."""
        topic, places = recorded.event.TOPIC, list[tuple[Path, str]]()
        if (said := SAID.get(topic)) is not None and isinstance(data.get(said.field), str):
            by = recorded.meta.actor if said.by is None else data.get(said.by)
            if is_person(by):
                places.append(((said.field,), str(by)))
        for path in FREE_FORM.get(topic, ()):
            start = data.get("start", {}) if path[0] == "start" else data
            deal = start.get("opportunity_id")
            fallback = recorded.stream if deal is None else f"opportunity:{deal}"
            for place, subject in self._names.found_in(_at(data, path), path, ()):
                places.append((place, subject or fallback))
        return places


def place_of(stream: str, version: int, path: Path) -> bytes:
    """Return the place that a sealed value is bound to."""
    return msgspec.json.encode((stream, version, path))


def value_keys(sealed: Sequence[Sealed], keys: Mapping[str, bytes]) -> list[bytes | None]:
    """Return the key of each value, or None if it is erased."""
    return [ciphers.value_key_of(keys[each.key], each.text) if each.key in keys else None for each in sealed]


def put_back(
    data: dict[str, Any],
    sealed: Sequence[Sealed],
    keys: Sequence[bytes | None],
    stream: str,
    version: int,
) -> None:
    """Put the values that can be decrypted back into a payload. The others read as erased."""
    for each, key in zip(sealed, keys, strict=True):
        if key is None:
            continue
        value = ciphers.opened(key, each.text, place_of(stream, version, each.at))
        if value is not None:
            _at(data, each.at[:-1])[each.at[-1]] = msgspec.json.decode(value)


def opened_values(
    sealed: Sequence[Sealed], keys: Sequence[bytes | None], stream: str, version: int
) -> list[Any]:
    """Return the values that can be decrypted."""
    found = [
        ciphers.opened(key, each.text, place_of(stream, version, each.at))
        for each, key in zip(sealed, keys, strict=True)
        if key is not None
    ]
    return [msgspec.json.decode(value) for value in found if value is not None]


def _said_in(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that people wrote in a decision, each with its author, or nothing if it is not a
    decision."""
    if not all(isinstance(value.get(name), str) for name in DECISION):
        return {}
    who = {name: value.get(by) for name, by in SAID_IN_DECISIONS.items()}
    return {
        name: by
        for name, by in who.items()
        if isinstance(value.get(name), str) and isinstance(by, str) and is_person(by)
    }


def _named(member: str, around: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the nearest member with a name, if it is an ID."""
    for each in around:
        found = id_of(each.get(member))
        if isinstance(found, str) and found:
            return found
    return None


def _at(value: Any, path: Path) -> Any:
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and isinstance(name, int):
            value = value[name]
        else:
            return None
    return value
