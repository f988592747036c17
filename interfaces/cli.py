"""The command line. What the commands do is given by the composition root."""

from pathlib import Path
from typing import Protocol

import click

from interfaces.archive_cli import ArchiveActions, archive_commands
from interfaces.audit_cli import AuditActions, audit_commands
from interfaces.outcome import CANNOT_TELL, carrying_out
from interfaces.tenant_option import tenant_option


class Actions(Protocol):
    """What the command line can ask for. Each may raise :class:`~interfaces.outcome.Refused`."""

    def serve(self, config: Path | None, roles: str | None) -> None:
        """Run the service, in these roles alone if some are named."""
        ...

    def show_config(self, config: Path | None) -> None:
        """Print the effective settings."""
        ...

    def migrate(self, config: Path | None) -> None:
        """Make or upgrade the event store's tables."""
        ...

    def copy_log(self, config: Path | None, *, source: str | None, target: str | None) -> None:
        """Copy an event log with all that belongs to it from one store to another."""
        ...

    def backup(self, config: Path | None, folder: Path) -> None:
        """Copy the files of an embedded store."""
        ...

    def rebuild(self, config: Path | None, projections: tuple[str, ...]) -> None:
        """Derive documents again from the log."""
        ...

    def compare(self, config: Path | None, projections: tuple[str, ...]) -> bool:
        """Hold documents against the log alone; whether none differs."""
        ...

    def adopt(self, config: Path | None, *, dry_run: bool) -> None:
        """Take over approvals of the platform's previous service."""
        ...

    def projections(self, config: Path | None, *, as_json: bool) -> None:
        """Tell how the projections fare."""
        ...

    def neighbours(self, config: Path | None) -> None:
        """Run the simulated neighbours."""
        ...

    def demo(self, config: Path | None, *, stop_after: bool) -> None:
        """Run the service with simulated neighbours, and show it at work."""
        ...

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
        """Destroy the key that somebody's personal fields are sealed under."""
        ...

    def rotate_keys(self, config: Path | None) -> None:
        """Wrap every personal key with the present master key."""
        ...

    @property
    def audit(self) -> AuditActions:
        """Those about the audit trail."""
        ...

    @property
    def archives(self) -> ArchiveActions:
        """Those about archives."""
        ...


def command_line(actions: Actions, version: str, *, with_traceback: bool = False) -> click.Group:
    """The commands, over what carries them out; ``with_traceback`` of what nobody foresaw."""
    carry_out = carrying_out(with_traceback=with_traceback)
    config_option = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A YAML file laid over config/default.yaml.",
    )

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(version)
    def main() -> None:
        """Batch jobs on cron, human approvals and workflows, event-sourced.

        With nothing configured it runs embedded: events and documents in SQLite below DATA_DIR, and a bus
        within the process. EVENT_STORE_URL, RABBITMQ_URL and JWT_SECRET put it on the real parts.
        """

    @main.command()
    @config_option
    @click.option(
        "--roles",
        help="What this process does: api,consumer,projector,publisher,scheduler (all), or some of them;"
        " the rest is for other processes on the same stores.",
    )
    def serve(config: Path | None, roles: str | None) -> None:
        """Run the service until it is told to stop."""
        carry_out(lambda: actions.serve(config, roles))

    @main.command("config")
    @config_option
    def show_config(config: Path | None) -> None:
        """Print the effective settings, secrets masked."""
        carry_out(lambda: actions.show_config(config))

    @main.command()
    @config_option
    def migrate(config: Path | None) -> None:
        """Make the tables of a PostgreSQL event store, or upgrade them to this release.

        Safe to repeat, and from several processes at once. SQLite needs none of it.
        """
        carry_out(lambda: actions.migrate(config))

    @main.command("copy-log")
    @config_option
    @click.option("--from", "source", metavar="URL", help="The store that has the log, as EVENT_STORE_URL.")
    @click.option("--to", "target", metavar="URL", help="The store that is to have it, likewise.")
    def copy_log(config: Path | None, source: str | None, target: str | None) -> None:
        """Copy an event log from one store to another, and verify it by count and hash.

        Its positions and timers go with it, so that a service on the new store publishes nothing again. Stop
        the service first. All is copied or nothing, but to cosmos://: no service starts on half a copy there,
        and the next run goes on. Where the log is there already it is verified alone.
        """
        carry_out(lambda: actions.copy_log(config, source=source, target=target))

    @main.command()
    @click.argument("folder", type=click.Path(path_type=Path))
    @config_option
    def backup(folder: Path, config: Path | None) -> None:
        """Copy the files of an embedded store into a new folder, in the right order.

        The service may go on meanwhile. The master key is not among them: keep it elsewhere. What each file
        is, and how to go back to them, is told by docs/runbooks/backup.md.
        """
        carry_out(lambda: actions.backup(config, folder))

    @main.command()
    @click.argument("projections", nargs=-1)
    @click.option("--verify", is_flag=True, help="Compare alone: name what differs, and change nothing.")
    @config_option
    def rebuild(projections: tuple[str, ...], verify: bool, config: Path | None) -> None:
        """Derive documents again from the log; all containers, or those named.

        The service may go on meanwhile: they are built beside the live ones and take their place at once. A
        rebuild that was killed goes on where it was. No message goes out. With --verify it ends with 0 where
        nothing differs, with 1 where something does, with 2 where that cannot be told.
        """
        if verify:
            carry_out(lambda: actions.compare(config, projections), failed=CANNOT_TELL)
        else:
            carry_out(lambda: actions.rebuild(config, projections))

    @main.command()
    @click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")
    @config_option
    def adopt(dry_run: bool, config: Path | None) -> None:
        """Take over the approvals that the platform's previous service has left pending in Cosmos DB.

        Stop that service first. Ours may be at work. Each is asked for here under its own id, so that it can
        be listed and decided; no message goes out of that. Whoever kills it repeats it. The exit code is 1 if
        one cannot be taken over: see deploy/README.md.
        """
        carry_out(lambda: actions.adopt(config, dry_run=dry_run))

    @main.command()
    @tenant_option("Whose data it is in.")
    @click.option("--subject", help="Who is to be erased: a person's id, a customer's, opportunity:ID.")
    @click.option("--reason", help="Why, for the record; nothing personal.")
    @click.option("--dry-run", is_flag=True, help="Tell what it would be, and change nothing.")
    @click.option("--again", is_flag=True, help="Repeat every erasure, after a backup of keys was restored.")
    @click.option("--lost", is_flag=True, help="Tell of keys that are lost for good as of destroyed ones.")
    @config_option
    def erase(
        tenant: str | None,
        subject: str | None,
        reason: str | None,
        dry_run: bool,
        again: bool,
        lost: bool,
        config: Path | None,
    ) -> None:
        """Destroy the key that somebody's personal fields are sealed under: see docs/erasure.md.

        The service may go on meanwhile. Whoever kills it repeats it, and it is completed.
        """
        carry_out(
            lambda: actions.erase(
                config, tenant=tenant, subject=subject, reason=reason, dry_run=dry_run, again=again, lost=lost
            )
        )

    @main.group()
    def keys() -> None:
        """The keys of personal fields: see docs/erasure.md."""

    @keys.command("rotate")
    @config_option
    def rotate_keys(config: Path | None) -> None:
        """Wrap every personal key with PRIVACY_MASTER_KEY instead of the former, PRIVACY_OTHER_MASTER_KEY.

        The services go on meanwhile, if they have both. Of an embedded store, which is to be stopped, the key
        is changed too. Whoever kills it repeats it. The exit code is 1 also if somebody goes on wrapping keys
        with the former one.
        """
        carry_out(lambda: actions.rotate_keys(config))

    @main.command()
    @click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
    @config_option
    def projections(as_json: bool, config: Path | None) -> None:
        """Tell how far each projection follows the log: position, lag, rate, last error, rebuilds.

        It changes nothing, and the service may run or not. State and last error are what the service at
        HOST and PORT says.
        """
        carry_out(lambda: actions.projections(config, as_json=as_json))

    @main.command()
    @config_option
    def neighbours(config: Path | None) -> None:
        """SIMULATION: stand in for the neighbouring services on RABBITMQ_URL."""
        carry_out(lambda: actions.neighbours(config))

    @main.command()
    @config_option
    @click.option("--stop-after", is_flag=True, help="Stop when everything has come to its end.")
    def demo(config: Path | None, stop_after: bool) -> None:
        """SIMULATION: run the service with simulated neighbours and show it at work."""
        carry_out(lambda: actions.demo(config, stop_after=stop_after))

    for command in archive_commands(actions.archives, config_option, carry_out):
        main.add_command(command)
    main.add_command(audit_commands(actions.audit, config_option, carry_out))
    return main
