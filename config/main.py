"""The entry point: the command line over the composition root.

Each command imports what it needs when it is called, so that no command waits for the libraries of another.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import anyio
import click

from config.descriptors import take_all_that_may_be_had
from config.logs import configure_logs
from config.masking import masked
from config.settings import (
    DISTRIBUTION,
    Check,
    Settings,
    SettingsError,
    load_settings,
    tells_tracebacks,
)
from config.signals import end_when_told
from config.standard_streams import open_what_is_closed
from config.start import CannotStart, DemoFailed
from interfaces.cli import command_line
from interfaces.outcome import Refused

T = TypeVar("T")


class CommandLineActions:
    """What each command does."""

    def __init__(self) -> None:
        self.audit = AuditCommandLine()
        self.archives = ArchiveCommandLine()

    def serve(self, config: Path | None, roles: str | None) -> None:
        """Run the service."""
        from config.runtime import serve
        from config.setting_files import faults_of_files

        settings = _settings(config, roles, further=faults_of_files)
        _run(partial(serve, settings))

    def show_config(self, config: Path | None) -> None:
        """Print the effective settings."""
        from config.setting_files import faults_of_files

        click.echo(masked(_settings(config, further=faults_of_files)), nl=False)

    def migrate(self, config: Path | None) -> None:
        """Create or upgrade the event store's tables."""
        from config.postgres import migrate_event_store

        _run(partial(migrate_event_store, _settings(config)))

    def copy_log(self, config: Path | None, *, source: str | None, target: str | None) -> None:
        """Copy an event log with all that belongs to it from one store to another."""
        from config.commands.copy_log import copy_log

        _run(partial(copy_log, _settings(config), source, target))

    def backup(self, config: Path | None, folder: Path) -> None:
        """Copy the files of an embedded store."""
        from config.commands.backup import backup

        _run(partial(backup, _settings(config), folder))

    def rebuild(self, config: Path | None, projections: tuple[str, ...]) -> None:
        """Derive documents again from the log."""
        from config.commands.rebuild import rebuild

        _run(partial(rebuild, _settings(config), projections))

    def compare(self, config: Path | None, projections: tuple[str, ...]) -> bool:
        """Compare documents with the log. Return whether none differs."""
        from config.commands.verify import Differs, verify

        try:
            _run(partial(verify, _settings(config), projections))
        except Differs as found:
            click.echo(str(found), err=True)
            return False
        return True

    def adopt(self, config: Path | None, *, dry_run: bool) -> None:
        """Take over approvals of the platform's previous service."""
        from config.commands.adopt import adopt

        _run(partial(adopt, _settings(config), dry_run=dry_run))

    def projections(self, config: Path | None, *, as_json: bool) -> None:
        """Print the state of the projections."""
        from config.commands.overview import show_projections

        _run(partial(show_projections, _settings(config), as_json=as_json))

    def erase(
        self,
        config: Path | None,
        *,
        tenant: str | None,
        subject: str | None,
        reason: str | None,
        dry_run: bool,
        again: bool,
        lost: bool,
    ) -> None:
        """Destroy the key that seals somebody's personal fields."""
        from config.commands.erase import erase

        settings = _settings(config)
        _run(partial(erase, settings, tenant, subject, reason, dry_run=dry_run, again=again, lost=lost))

    def rotate_keys(self, config: Path | None) -> None:
        """Wrap every personal key with the present master key."""
        from config.commands.rotation import rotate_master_key

        _run(partial(rotate_master_key, _settings(config)))

    def neighbours(self, config: Path | None) -> None:
        """Run the simulated neighbours."""
        from config.commands.neighbours import serve_neighbours

        _run(partial(serve_neighbours, _settings(config)))

    def demo(self, config: Path | None, *, stop_after: bool) -> None:
        """Run the service with simulated neighbours, and show it at work."""
        from config.commands.demo import demo
        from config.setting_files import faults_of_files

        _run(partial(demo, _settings(config, further=faults_of_files), config, stop_after=stop_after))


class AuditCommandLine:
    """What each command about the audit trail does."""

    def verify(
        self,
        config: Path | None,
        *,
        export: Path | None,
        public_keys: tuple[Path, ...],
        anchors: tuple[Path, ...],
        as_json: bool,
    ) -> bool:
        """Check an export, without any settings, or the live store."""
        from config.commands.audit import verify_export_file, verify_live

        if export is not None:
            return _refusing(partial(verify_export_file, export, public_keys, anchors, as_json=as_json))
        return _run(partial(verify_live, _settings(config), public_keys, anchors, as_json=as_json))

    def export(self, config: Path | None, *, tenant: str, out: Path | None, filters: dict[str, str]) -> None:
        """Write a tenant's events."""
        from config.commands.audit import export_events

        _run(partial(export_events, _settings(config), tenant, out, filters))

    def head(self, config: Path | None, *, tenant: str | None, as_json: bool) -> None:
        """Print where each tenant's hash chain ends."""
        from config.commands.audit import show_heads

        _run(partial(show_heads, _settings(config), tenant, as_json=as_json))

    def keygen(self, file: Path) -> None:
        """Create a signing key."""
        from config.commands.audit import make_key

        _refusing(partial(make_key, file))


class ArchiveCommandLine:
    """What each command about archives does."""

    def archive(
        self,
        config: Path | None,
        out: Path | None,
        *,
        older_than: str,
        tenant: str | None,
        reason: str | None,
        dry_run: bool,
        public_keys: tuple[Path, ...],
    ) -> None:
        """Move what has ended to files."""
        from config.commands.archives import archive

        settings = _settings(config)
        _run(
            partial(
                archive,
                settings,
                out,
                older_than=older_than,
                tenant=tenant,
                reason=reason,
                dry_run=dry_run,
                public_keys=public_keys,
            )
        )

    def restore(self, config: Path | None, files: tuple[Path, ...], public_keys: tuple[Path, ...]) -> None:
        """Put the events of files back."""
        from config.commands.archives import restore

        _run(partial(restore, _settings(config), files, public_keys))


def main() -> None:
    """The console script ``workflow-orchestrator``."""
    open_what_is_closed()
    end_when_told()
    take_all_that_may_be_had()
    command_line(CommandLineActions(), version(DISTRIBUTION), with_traceback=tells_tracebacks())()


def _settings(config: Path | None, roles: str | None = None, *, further: Check = lambda _: ()) -> Settings:
    try:
        settings = load_settings(config, roles=roles, further=further)
    except SettingsError as error:
        raise Refused(str(error)) from error
    configure_logs(settings.logging, {"service": settings.service.name})
    return settings


def _run(work: Callable[[], Awaitable[T]]) -> T:
    return _refusing(lambda: anyio.run(work, backend_options={"use_uvloop": True}))


def _refusing(work: Callable[[], T]) -> T:
    try:
        return work()
    except (CannotStart, DemoFailed) as error:
        raise Refused(str(error)) from error


if __name__ == "__main__":
    main()
