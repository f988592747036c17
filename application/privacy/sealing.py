"""Personal fields of a stored state, sealed on the way in and opened on the way out.

What is sealed stands outside the payload, in a member of the state that no input can reach: ``sealed`` names
each place, the key and the value. In its place in the payload stands what it reads as without the key. So who
has no key, or is of an older release, reads it as erased, and nobody can pass a text off as a sealed one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from application.privacy import ciphers
from application.privacy.keyring import Keyring
from domain.event import Recorded
from domain.privacy import DECISION, ERASED, FREE_FORM, SAID, SAID_IN_DECISIONS, is_person
from domain.values import id_of

Path = tuple[str | int, ...]


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was taken out of the payload: where it stood, whose key it needs, and itself."""

    at: Path
    key: str
    text: str


class PersonalNames:
    """Members of free-form data that are personal, with the member beside or above them that names whose.

    Beside those that the settings name, these are what people said when they decided.
    """

    def __init__(self, subjects: Mapping[str, str]) -> None:
        self.subjects = subjects
        names = "|".join(map(re.escape, (*subjects, *SAID_IN_DECISIONS.values())))
        self._pattern = re.compile(rf'"(?:{names})":'.encode())

    def may_be_in(self, state: bytes) -> bool:
        """Whether there can be one: a look at the bytes, which costs next to nothing."""
        return self._pattern.search(state) is not None

    def found_in(
        self, value: Any, path: Path, around: tuple[Mapping[str, Any], ...]
    ) -> Iterator[tuple[Path, str | None]]:
        """The place of each, and whose it is where that is said."""
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
    """Seals and opens with the keys of a keyring."""

    def __init__(self, keyring: Keyring, names: PersonalNames) -> None:
        self.keyring = keyring
        self._names = names

    def seal(self, recorded: Recorded, state: bytes) -> bytes:
        """The state with its personal fields sealed; as it is, where it has none.

        Raises:
            StoreUnavailable: a key cannot be had; nothing personal is stored in clear instead.
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
        """Of every personal value in a payload, with whose it is."""
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
    """What a sealed value is bound to."""
    return msgspec.json.encode((stream, version, path))


def value_keys(sealed: Sequence[Sealed], keys: Mapping[str, bytes]) -> list[bytes | None]:
    """The key of each value; none of those that are erased."""
    return [ciphers.value_key_of(keys[each.key], each.text) if each.key in keys else None for each in sealed]


def put_back(
    data: dict[str, Any],
    sealed: Sequence[Sealed],
    keys: Sequence[bytes | None],
    stream: str,
    version: int,
) -> None:
    """Put what opens in its place in a payload; the rest reads as erased."""
    for each, key in zip(sealed, keys, strict=True):
        if key is None:
            continue
        value = ciphers.opened(key, each.text, place_of(stream, version, each.at))
        if value is not None:
            _at(data, each.at[:-1])[each.at[-1]] = msgspec.json.decode(value)


def opened_values(
    sealed: Sequence[Sealed], keys: Sequence[bytes | None], stream: str, version: int
) -> list[Any]:
    """The values themselves, of those that open."""
    found = [
        ciphers.opened(key, each.text, place_of(stream, version, each.at))
        for each, key in zip(sealed, keys, strict=True)
        if key is not None
    ]
    return [msgspec.json.decode(value) for value in found if value is not None]


def _said_in(value: Mapping[str, Any]) -> dict[str, str]:
    """The members of a decision that people wrote, and whose each is; none where it is something else."""
    if not all(isinstance(value.get(name), str) for name in DECISION):
        return {}
    who = {name: value.get(by) for name, by in SAID_IN_DECISIONS.items()}
    return {
        name: by
        for name, by in who.items()
        if isinstance(value.get(name), str) and isinstance(by, str) and is_person(by)
    }


def _named(member: str, around: Sequence[Mapping[str, Any]]) -> str | None:
    """The nearest member of that name, if it is an id."""
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
