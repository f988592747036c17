"""The option ``--tenant`` of several commands."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import click

F = TypeVar("F", bound=Callable[..., Any])


def tenant_option(help: str, *, required: bool = False) -> Callable[[F], F]:
    """Return the option, which takes only a UUID: a shortened one would be a tenant without data."""

    def told(_: click.Context, __: click.Parameter, value: UUID | None) -> str | None:
        return None if value is None else str(value)

    return click.option("--tenant", type=click.UUID, callback=told, required=required, help=help)
