"""The command line. The composition root supplies what the commands do."""

from pathlib import Path
from typing import Protocol

import click

from interfaces.archive_cli import ArchiveActions, archive_commands
from interfaces.audit_cli import AuditActions, audit_commands
from interfaces.outcome import CANNOT_TELL, carrying_out
from interfaces.tenant_option import tenant_option


class Actions(Protocol):
    """The actions of the commands. Each may raise :class:`~interfaces.outcome.Refused`."""

    def serve(self, config: Path | None, roles: str | None) -> None:
        """Run the service, with only these roles if some are named."""
        ...

    def show_config(self, config: Path | None) -> None:
        """Print the effective settings."""
        ...

    def migrate(self, config: Path | None) -> None:
        """Create or upgrade the event store's tables."""
        ...

    def copy_log(self, config: Path | None, *, source: str | None, target: str | None) -> None:
        """Copy an event log, and everything that belongs to it, from one store to another."""
        ...

    def backup(self, config: Path | None, folder: Path) -> None:
        """Copy the files of an embedded store."""
        ...

    def rebuild(self, config: Path | None, projections: tuple[str, ...]) -> None:
        """Derive documents again from the log."""
        ...

    def compare(self, config: Path | None, projections: tuple[str, ...]) -> bool:
        """Compare documents with the log. Return whether none differs."""
        ...

    def adopt(self, config: Path | None, *, dry_run: bool) -> None:
        """Take over approvals of the platform's previous service."""
        ...

    def projections(self, config: Path | None, *, as_json: bool) -> None:
        """Print the state of the projections."""
        ...

    def neighbours(self, config: Path | None) -> None:
        """Run the simulated neighbours."""
        ...

    def demo(self, config: Path | None, *, stop_after: bool) -> None:
        """Run the service with simulated neighbours, and show what it does."""
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
        """Destroy the key that seals somebody's personal fields."""
        ...

    def rotate_keys(self, config: Path | None) -> None:
        """Wrap every personal key with the present master key."""
        ...

    @property
    def audit(self) -> AuditActions:
        """The actions on the audit trail."""
        ...

    @property
    def archives(self) -> ArchiveActions:
        """The actions on archives."""
        ...


def command_line(actions: Actions, version: str, *, with_traceback: bool = False) -> click.Group:
    """Return the command line for some actions. ``with_traceback`` prints the tracebacks of unexpected
    errors."""
    carry_out = carrying_out(with_traceback=with_traceback)
    config_option = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A YAML file whose values override the environment and config/default.yaml.",
    )

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(version)
    def main() -> None:
        """Batch jobs on cron, human approvals and workflows, event-sourced.

        If nothing is configured, the service runs embedded: it keeps events and documents in SQLite in
        DATA_DIR and uses a bus within the process. Set EVENT_STORE_URL, RABBITMQ_URL and JWT_SECRET to deploy
        it.
        """

    @main.command()
    @config_option
    @click.option(
        "--roles",
        help="The roles of this process, separated by commas: api, consumer, projector, publisher, scheduler."
        " The default is all of them. Other processes on the same stores must have the other roles.",
    )
    def serve(config: Path | None, roles: str | None) -> None:
        """Run the service until it is stopped."""
        carry_out(lambda: actions.serve(config, roles))

    @main.command("config")
    @config_option
    def show_config(config: Path | None) -> None:
        """Print the effective settings, with secrets masked."""
        carry_out(lambda: actions.show_config(config))

    @main.command()
    @config_option
    def migrate(config: Path | None) -> None:
        """Create the tables of a PostgreSQL event store, or upgrade them to this release.

        You can repeat it, and run it in several processes at once. SQLite does not need it.
        """
        carry_out(lambda: actions.migrate(config))

    @main.command("copy-log")
    @config_option
    @click.option("--from", "source", metavar="URL", help="The store to copy from, as in EVENT_STORE_URL.")
    @click.option("--to", "target", metavar="URL", help="The store to copy to, as in EVENT_STORE_URL.")
    def copy_log(config: Path | None, source: str | None, target: str | None) -> None:
        """Copy an event log from one store to another, and verify the copy by count and hash.

        Stop the service first. The command also copies the followers' positions and the timers, so that a
        service on the new store publishes no message again. SQLite and PostgreSQL receive everything or
        nothing. A copy to cosmos:// that was interrupted stays incomplete: no service starts on it, and the
        next run completes it. If the target already has the log, the command only verifies it.
        """
        carry_out(lambda: actions.copy_log(config, source=source, target=target))

    @main.command()
    @click.argument("folder", type=click.Path(path_type=Path))
    @config_option
    def backup(folder: Path, config: Path | None) -> None:
        """Copy the files of an embedded store into a new folder, in the right order.

        The service can keep running. The command does not copy the master key: keep that elsewhere.
        docs/runbooks/backup.md describes each file and how to restore them.
        """
        carry_out(lambda: actions.backup(config, folder))

    @main.command()
    @click.argument("projections", nargs=-1)
    @click.option("--verify", is_flag=True, help="Only compare: name what differs, change nothing.")
    @config_option
    def rebuild(projections: tuple[str, ...], verify: bool, config: Path | None) -> None:
        """Derive documents again from the log, for all projections or for those named.

        The service can keep running: the new documents are built beside the live ones and replace them all at
        once. If the command is killed, the next run continues where it stopped. No message goes out. With
        --verify the exit code is 0 if nothing differs, 1 if something differs, 2 if that cannot be told.
        """
        if verify:
            carry_out(lambda: actions.compare(config, projections), failed=CANNOT_TELL)
        else:
            carry_out(lambda: actions.rebuild(config, projections))

    @main.command()
    @click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
    @config_option
    def adopt(dry_run: bool, config: Path | None) -> None:
        """Take over the approvals that the platform's previous service has left pending in Cosmos DB.

        Stop the previous service first; this one can keep running. The command requests each approval here
        under the same id, so that people can list and decide it. No message goes out. If the command is
        killed, run it again. The exit code is 1 if an approval cannot be taken over: see deploy/README.md.
        """
        carry_out(lambda: actions.adopt(config, dry_run=dry_run))

    @main.command()
    @tenant_option("The tenant whose data the subject is in.")
    @click.option("--subject", help="Whom to erase: a person's id, a customer's id, or opportunity:ID.")
    @click.option("--reason", help="The reason, for the record. Do not give personal data.")
    @click.option("--dry-run", is_flag=True, help="Print what would be erased, and change nothing.")
    @click.option(
        "--again",
        is_flag=True,
        help="Repeat every erasure, after a backup of keys was restored. Give no other of these options.",
    )
    @click.option("--lost", is_flag=True, help="Record all keys that are lost for good as destroyed.")
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
        """Destroy the key that seals somebody's personal fields: see docs/erasure.md.

        The service can keep running. If the command is killed, run it again: it completes the erasure.
        """
        carry_out(
            lambda: actions.erase(
                config, tenant=tenant, subject=subject, reason=reason, dry_run=dry_run, again=again, lost=lost
            )
        )

    @main.group()
    def keys() -> None:
        """Manage the keys of personal fields: see docs/erasure.md."""

    @keys.command("rotate")
    @config_option
    def rotate_keys(config: Path | None) -> None:
        """Wrap every personal key with PRIVACY_MASTER_KEY instead of the former PRIVACY_OTHER_MASTER_KEY.

        Services can keep running if they have both keys. An embedded service must be stopped: the command
        also replaces its master key. If the command is killed, run it again. The exit code is 1 also if a
        service still wraps keys with the former master key.
        """
        carry_out(lambda: actions.rotate_keys(config))

    @main.command()
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
    @config_option
    def projections(as_json: bool, config: Path | None) -> None:
        """Print how far each projection has followed the log: position, lag, rate, last error, rebuilds.

        The command changes nothing. It works whether or not the service runs. It asks the service at HOST and
        PORT for the state and the last error.
        """
        carry_out(lambda: actions.projections(config, as_json=as_json))

    @main.command()
    @config_option
    def neighbours(config: Path | None) -> None:
        """SIMULATION: simulate the neighbouring services on RABBITMQ_URL."""
        carry_out(lambda: actions.neighbours(config))

    @main.command()
    @config_option
    @click.option("--stop-after", is_flag=True, help="Stop when everything has ended.")
    def demo(config: Path | None, stop_after: bool) -> None:
        """SIMULATION: run the service with simulated neighbours and show it at work."""
        carry_out(lambda: actions.demo(config, stop_after=stop_after))

    for command in archive_commands(actions.archives, config_option, carry_out):
        main.add_command(command)
    main.add_command(audit_commands(actions.audit, config_option, carry_out))
    return main
