"""What approvals need: each tenant's terms, and who is in which group."""

import msgspec

from application.approval_terms import ApprovalTerms
from application.ports import Directory
from config.faults import SettingFault
from config.sections import Settings
from config.wrong_settings import WrongSettings
from infrastructure.directory.listed import ListedDirectory
from infrastructure.directory.remote import SERVICE, HttpDirectory
from infrastructure.services.caller import HttpCaller
from infrastructure.services.tokens import ServiceTokens
from interfaces.approvals.file import NOTHING, BadApprovals, LaidDown
from interfaces.approvals.live import LiveApprovals
from interfaces.approvals.terms import SettledTerms

_FILE = ("approvals", "file")


class ApprovalParts(msgspec.Struct, frozen=True):
    """The terms and the directory. ``file`` is what they are read from, if there is one."""

    terms: ApprovalTerms
    directory: Directory
    file: LiveApprovals | None

    def wrong(self) -> str | None:
        """Return what is wrong with the file now, if anything is."""
        return self.file.wrong() if self.file else None


def build_approvals(settings: Settings) -> ApprovalParts:
    """Build both from the settings.

    Raises:
        WrongSettings: the file cannot be read, or is invalid; with every fault.
    """
    file = approvals_file(settings)

    def laid_down(tenant: str) -> LaidDown:
        return file.of(tenant) if file else NOTHING

    terms = SettledTerms(
        laid_down,
        separate_duties=settings.approvals.separation_of_duties,
        reason_on_rejection=settings.approvals.reason_on_rejection,
        url=settings.approvals.url_template,
    )
    if settings.approvals.directory_url:
        return ApprovalParts(terms, _user_management(settings), file)
    return ApprovalParts(terms, ListedDirectory(lambda tenant: laid_down(tenant).groups), file)


def approvals_file(settings: Settings) -> LiveApprovals | None:
    """Return the file with each tenant's terms, if one is configured.

    Raises:
        WrongSettings: the file cannot be read, or is invalid; with every fault.
    """
    path = settings.approvals.file
    if path is None:
        return None
    try:
        return LiveApprovals(path)
    except BadApprovals as bad:
        raise WrongSettings(settings, [SettingFault(_FILE, line) for line in bad.lines]) from None
    except OSError as error:
        raise WrongSettings(settings, [SettingFault(_FILE, f"{error.strerror}")]) from None


def _user_management(settings: Settings) -> HttpDirectory:
    tokens = ServiceTokens(
        settings.jwt.secret.get_secret_value(), issuer=settings.jwt.issuer, service=settings.service.name
    )
    caller = HttpCaller({SERVICE: settings.approvals.directory_url}, tokens, user_agent=settings.service.name)
    return HttpDirectory(
        caller,
        kept_seconds=settings.approvals.directory_cache_seconds,
        timeout_seconds=settings.approvals.directory_timeout_seconds,
    )
