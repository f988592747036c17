"""Prints what a verification found, on the terminal or in JSON."""

import click
import msgspec

from application.audit.chain import FORMAT
from application.audit.findings import Report

_HEADS_SHOWN = 20
_UNPROVEN_SHOWN = 20


def tell(report: Report, *, as_json: bool) -> bool:
    """Print the report. Return whether everything is sound."""
    if as_json:
        click.echo(msgspec.json.encode(_as_json(report)))
    else:
        _as_text(report)
    return report.is_sound


def _as_json(report: Report) -> dict[str, object]:
    heads = [
        {"tenantId": tenant, "number": number, "hash": chain}
        for tenant, (number, chain) in sorted(report.heads.items())
    ]
    return {
        "sound": report.is_sound,
        "format": FORMAT,
        "events": report.events,
        "withheld": report.withheld,
        "anchors": report.anchors,
        "heads": heads,
        "findings": report.findings,
        "more": report.more,
        "notes": report.notes,
        "warnings": report.warnings,
        "toldAlone": report.told_alone,
        "unproven": report.unproven,
        "moreUnproven": report.more_unproven,
    }


def _as_text(report: Report) -> None:
    for finding in report.findings:
        of = f"tenant {finding.tenant_id}: " if finding.tenant_id else ""
        click.echo(f"{finding.kind.upper()}: {of}{finding.what}")
    if report.more:
        click.echo(f"and {report.more} more")
    for note in report.notes:
        click.echo(f"note: {note}")
    for what in report.unproven[:_UNPROVEN_SHOWN]:
        click.echo(f"NOT PROVEN: {what}")
    unproven = len(report.unproven) + report.more_unproven
    if unproven > _UNPROVEN_SHOWN:
        click.echo(f"NOT PROVEN: and of {unproven - _UNPROVEN_SHOWN} more events; --json names them")
    for tenant, (number, chain) in sorted(report.heads.items())[:_HEADS_SHOWN]:
        click.echo(f"{tenant}: {number} events, {chain}")
    withheld = f" (of {report.withheld} only the hash)" if report.withheld else ""
    tenants = f"{len(report.heads)} tenant" + ("s" if len(report.heads) != 1 else "")
    click.echo(f"checked {report.events} events{withheld} of {tenants}, with {report.anchors} anchors")
    if report.told_alone:
        click.echo(f"included, but never proven: {'; '.join(report.told_alone)}")
    for warning in report.warnings:
        click.echo(f"WARNING: {warning}")
    if not report.is_sound:
        click.echo(f"NOT SOUND: {len(report.findings) + report.more} found")
    elif unproven:
        click.echo(
            f"SOUND in its stored bytes; for {unproven} events, values are shown that these do not prove:"
            " verify with the release that made the export"
        )
    else:
        click.echo("SOUND: everything is as it was written")
