"""Turns pydantic's errors into faults in an operator's words."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from config.faults import Path, SettingFault, dotted
from config.kinds import Allowed
from config.sections import Section, Settings
from domain.suggestions import did_you_mean

_KEY = "[key]"


def faults_of(error: ValidationError) -> list[SettingFault]:
    """Return one fault for each error."""
    return [_fault(finding) for finding in error.errors(include_url=False, include_input=False)]


def allowed_at(path: Path) -> Allowed | None:
    """Return what the setting at a place accepts; inside a list or mapping, what the whole of it accepts."""
    found = _field_at(path)
    if found is None:
        return None
    of_each = (meta for kind in get_args(found.annotation) for meta in getattr(kind, "__metadata__", ()))
    return next((meta for meta in (*found.metadata, *of_each) if isinstance(meta, Allowed)), None)


def shown(path: Path, text: str) -> str | None:
    """Return a value as a message may show it. Under an unknown name it is not shown at all, because it may
    be a misspelt secret."""
    allowed = allowed_at(path)
    return allowed.show(text) if allowed else None


def _fault(finding: Any) -> SettingFault:
    path: Path = tuple(str(part) for part in finding["loc"] if part != _KEY)
    if finding["type"] == "extra_forbidden":
        return SettingFault(path, "unknown setting" + _near(path))
    if finding["loc"][-1] == _KEY:
        names = _names_at(path) if _is_section(path) else allowed_at(path)
        return SettingFault(path, "its name is not valid", names.words if names else "")
    if _is_section(path):
        return SettingFault(path, "it must be a section with " + ", ".join(_section_at(path).model_fields))
    reason = str(finding["ctx"]["error"]) if finding["type"] == "value_error" else ""
    allowed = allowed_at(path)
    return SettingFault(path, reason, allowed.words if allowed else str(finding["msg"]))


def _near(path: Path) -> str:
    """Return a setting of the same section with a similar name, or one of the same name elsewhere."""
    *above, name = path
    beside = did_you_mean(name.replace("-", "_"), _section_at(tuple(above)).model_fields)
    if beside:
        return beside.replace("mean ", "mean " + "".join(f"{part}." for part in above))
    elsewhere = [key for key in _all_keys(Settings) if key[-1] == name]
    if len(elsewhere) == 1:
        return f"; did you mean {dotted(elsewhere[0])}?"
    return did_you_mean(dotted(path), map(dotted, _all_keys(Settings)))


def _all_keys(section: type[Section], above: Path = ()) -> Iterator[Path]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _all_keys(inner, (*above, name))
        else:
            yield (*above, name)


def _field_at(path: Path) -> FieldInfo | None:
    section: type[Section] = Settings
    names = iter(path)
    for name in names:
        field = section.model_fields.get(name)
        if field is None:
            return None
        inner = _inner(field)
        if inner is None or (_is_by_name(field) and next(names, None) is None):
            return field
        section = inner
    return None


def _names_at(path: Path) -> Allowed | None:
    """Return the names that the sections at a place may have."""
    field = _field_at(path[:-1])
    kinds = get_args(field.annotation) if field else ()
    metadata = getattr(kinds[0], "__metadata__", ()) if kinds else ()
    return next((meta for meta in metadata if isinstance(meta, Allowed)), None)


def _is_section(path: Path) -> bool:
    return _section_at(path) is not Section


def _section_at(path: Path) -> type[Section]:
    """Return the section at a place, or the bare `Section`, which has no settings, if there is none."""
    section: type[Section] = Settings
    names = iter(path)
    for name in names:
        field = section.model_fields.get(name)
        inner = _inner(field) if field else None
        if field is None or inner is None or (_is_by_name(field) and next(names, None) is None):
            return Section
        section = inner
    return section


def _inner(field: FieldInfo) -> type[Section] | None:
    """Return the section that a field is, or that each of its values by name is."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _is_by_name(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is not None
