"""The terms of a tenant: those of the approvals file, with the settings that apply to all tenants."""

from collections.abc import Callable

import msgspec

from application.approval_terms import Terms
from interfaces.approvals.file import LaidDown


class SettledTerms:
    """Returns the present terms, because the approvals file may change."""

    def __init__(
        self,
        laid_down: Callable[[str], LaidDown],
        *,
        separate_duties: bool,
        reason_on_rejection: bool,
        url: str,
    ) -> None:
        self._laid_down = laid_down
        self._separate_duties = separate_duties
        self._reason_on_rejection = reason_on_rejection
        self._url = url

    def of(self, tenant: str) -> Terms:
        """Return the present terms of a tenant."""
        return msgspec.structs.replace(
            self._laid_down(tenant).terms,
            separate_duties=self._separate_duties,
            reason_on_rejection=self._reason_on_rejection,
            url=self._url,
        )
