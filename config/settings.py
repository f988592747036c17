"""Reads and checks the settings in one go. Only this module reads the environment."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from config.checks import check
from config.environment import fill
from config.faults import SettingFault, SettingsError
from config.masking import masked
from config.origins import origins_of
from config.sections import Settings
from config.sources import Scalar, Tree, at, overlay, plain, read, repaired
from config.validation import faults_of, shown

__all__ = [
    "DEFAULT_FILE",
    "DISTRIBUTION",
    "Settings",
    "SettingsError",
    "load_settings",
    "masked",
    "tells_tracebacks",
]

DISTRIBUTION = "workflow-orchestrator"
"""The name of the installed package."""

Check = Callable[[Settings], Iterable[SettingFault]]

DEFAULT_FILE = Path(__file__).with_name("default.yaml")


def load_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    roles: str | None = None,
    further: Check = lambda settings: (),
) -> Settings:
    """The settings of `default.yaml`, with the file at `path` laid over it, filled from the environment.

    `roles` comes from the command line, and goes before both. `further` finds more faults, of what the
    settings name; it sees the defaults of those that are at fault.

    Raises `SettingsError` with a line for each fault. A setting at fault is taken as its default while the
    rest is checked, so that one start tells everything that one start can find out.
    """
    defaults = read(DEFAULT_FILE)
    file: Tree = read(path) if path else {}
    ordered: Tree = {} if roles is None else {"service": {"roles": Scalar(roles)}}
    given = overlay(overlay(defaults, file), ordered)
    filled, faults = fill(given, os.environ if environ is None else environ)
    sound, _ = fill(defaults, {})

    trial = repaired(filled, (fault.path for fault in faults), sound)
    settings, found = _validated(trial, sound)
    faults += found
    broken = [fault.path for fault in faults]
    faults += [fault for fault in (*check(settings), *further(settings)) if not fault.follows_from(broken)]
    if faults:
        raise SettingsError(_lines(faults, filled))
    return settings.coming_from(origins_of(filled, file, ordered))


def tells_tracebacks() -> bool:
    """Return whether LOG_LEVEL asks for tracebacks. This also works if no settings could be read."""
    return os.environ.get("LOG_LEVEL", "").lower() == "debug"


def _validated(tree: Tree, sound: Tree) -> tuple[Settings, list[SettingFault]]:
    """Return the settings, with defaults for those at fault, and the faults."""
    try:
        return Settings.model_validate(plain(tree)), []
    except ValidationError as error:
        faults = faults_of(error)
    mended = repaired(tree, (fault.path for fault in faults), sound)
    return Settings.model_validate(plain(mended)), faults


def _lines(faults: Iterable[SettingFault], tree: Tree) -> Iterable[str]:
    for fault in faults:
        node = at(tree, fault.path)
        if isinstance(node, Scalar):
            yield fault.line(node.variables, shown(fault.path, node.text))
        else:
            yield fault.line()
