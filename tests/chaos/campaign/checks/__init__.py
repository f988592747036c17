"""The independent checker: what clients were told, the log, the documents and the wire, held together.

It imports nothing of the service. It knows the wire contract, and how a row of the log is laid out.
"""

from tests.chaos.campaign.checks import commands, documents, incoming, log, wire
from tests.chaos.campaign.checks.case import Case, Finding

__all__ = ["Case", "Finding", "check", "check_documents", "check_log_and_wire"]


def check_log_and_wire(case: Case) -> list[Finding]:
    """What can be checked while the services still run, once they have settled."""
    return [*commands.check(case), *incoming.check(case), *log.check(case), *wire.check(case)]


def check_documents(case: Case) -> list[Finding]:
    """Likewise."""
    return list(documents.check(case))


def check(case: Case) -> list[Finding]:
    """Everything."""
    return [
        *check_log_and_wire(case),
        *check_documents(case),
        *documents.check_rebuild(case),
        *wire.check_queues(case),
    ]
