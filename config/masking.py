"""The settings in a form that may be shown."""

from pathlib import Path

import yaml
from pydantic import SecretStr

from config.sections import Settings
from config.urls import MASK, SecretUrl


def masked(settings: Settings) -> str:
    """Return the effective settings as YAML: secrets as `***`, addresses without their passwords."""
    return yaml.safe_dump(
        masked_values(settings),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1000,
    )


def masked_values(settings: Settings) -> dict[str, object]:
    """Return the effective settings, by section and name: secrets as `***`, addresses without their
    passwords."""
    return {name: _shown(value) for name, value in settings.model_dump().items()}


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(inner) for inner in value]
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, (SecretUrl, Path)):
        return str(value)
    return value
