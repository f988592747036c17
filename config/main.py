"""The entry point: the command line over the composition root."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import anyio
import click

from config.container import DISTRIBUTION
from config.demo import DemoFailed, demo
from config.logs import configure_logs
from config.masking import masked
from config.neighbours import serve_neighbours
from config.postgres import migrate_event_store
from config.rebuild import rebuild
from config.runtime import serve
from config.settings import Settings, SettingsError, load_settings
from config.start import CannotStart
from interfaces.cli import Refused, command_line


class CommandLineActions:
    """What each command does."""

    def serve(self, config: Path | None, roles: str | None) -> None:
        """Run the service."""
        settings = _settings(config, roles)
        _run(partial(serve, settings))

    def show_config(self, config: Path | None) -> None:
        """Print the effective settings."""
        click.echo(masked(_settings(config)), nl=False)

    def migrate(self, config: Path | None) -> None:
        """Make or upgrade the event store's tables."""
        _run(partial(migrate_event_store, _settings(config)))

    def rebuild(self, config: Path | None, projections: tuple[str, ...]) -> None:
        """Derive documents again from the log."""
        _run(partial(rebuild, _settings(config), projections))

    def neighbours(self, config: Path | None) -> None:
        """Run the simulated neighbours."""
        _run(partial(serve_neighbours, _settings(config)))

    def demo(self, config: Path | None, *, stop_after: bool) -> None:
        """Run the service with simulated neighbours, and show it at work."""
        _run(partial(demo, _settings(config), config, stop_after=stop_after))


def main() -> None:
    """The console script ``workflow-orchestrator``."""
    command_line(CommandLineActions(), version(DISTRIBUTION))()


def _settings(config: Path | None, roles: str | None = None) -> Settings:
    try:
        settings = load_settings(config, roles=roles)
    except SettingsError as error:
        raise Refused(str(error)) from error
    configure_logs(settings.logging, {"service": settings.service.name})
    return settings


def _run(work: Callable[[], Awaitable[None]]) -> None:
    try:
        anyio.run(work, backend_options={"use_uvloop": True})
    except (CannotStart, DemoFailed) as error:
        raise Refused(str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
