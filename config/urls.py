"""Addresses: whether they can be used, and how they may be shown.

An address that cannot be parsed is not shown at all, because the misplaced part may be the password.
"""

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from pydantic import Secret

MASK = "***"

_SECRET_PARAMETER = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)
_NOT_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f]")
_NO_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


class SecretUrl(Secret[str]):
    """An address whose password does not show when it is printed or logged."""

    def _display(self) -> str:
        return mask_url(self.get_secret_value())


class SecretPathUrl(SecretUrl):
    """An address that is secret from its path on: whoever knows it can act in our name."""

    def _display(self) -> str:
        return mask_path(self.get_secret_value())


def mask_path(url: str) -> str:
    """Return the address of the server, with a sign that there is more."""
    try:
        parts = _split(url) if url else None
    except ValueError:
        return MASK
    if parts is None:
        return url
    if not parts.hostname or "@" in url:
        return MASK
    return f"{parts.scheme}://{parts.netloc}/{MASK}"


def mask_url(url: str) -> str:
    """Return the address without its password."""
    try:
        parts = _split(url) if url else None
    except ValueError:
        return MASK
    if parts is None or not (parts.netloc or parts.query):
        return url
    if _has_stray_at(parts):
        return MASK
    user, at, address = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = (f"{name}:{MASK}" if colon else name) + at + address
    query = f"?{_masked_query(parts.query)}" if parts.query else ""
    fragment = f"#{MASK}" if parts.fragment else ""
    return f"{parts.scheme}://{netloc}{parts.path}{query}{fragment}"


def require_url(url: str, schemes: tuple[str, ...], *, host: bool = True, credentials: bool = True) -> None:
    """Raise `ValueError` with the reason why an address cannot be used. It never quotes the address."""
    parts = _split(url)
    if parts.scheme not in schemes:
        raise ValueError(f"its scheme is not {' or '.join(schemes)}")
    if host and not parts.hostname:
        raise ValueError("it has no host")
    if not credentials and "@" in parts.netloc:
        raise ValueError("it contains a user or password, which would be shown")
    if _NO_CODE.search(url):
        raise ValueError('it contains a "%" without a character code; in a password write % as %25')
    if parts.fragment or _has_stray_at(parts):
        raise ValueError('it contains an extra "#" or "@"; in a password, percent-encode / ? # @')


def _split(url: str) -> SplitResult:
    if _NOT_IN_A_URL.search(url):
        raise ValueError("it contains white space")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError('its host or port is not valid; in a password write "/" as %2F') from None
    if not parts.scheme or not url.lower().startswith(f"{parts.scheme}://") or port == 0:
        raise ValueError("it is not scheme://host:port")
    return parts


def _has_stray_at(parts: SplitResult) -> bool:
    """Return whether there is an `@` behind the host, or two before it: most likely a password with a `/`,
    `?` or `@`, which not all parsers split at the same place."""
    return "@" in f"{parts.path}{parts.query}{parts.fragment}" or parts.netloc.count("@") > 1


def _masked_query(query: str) -> str:
    parameters = parse_qsl(query, keep_blank_values=True)
    if not any(_SECRET_PARAMETER.search(name) for name, _ in parameters):
        return query
    shown = [(name, MASK if _SECRET_PARAMETER.search(name) else value) for name, value in parameters]
    return urlencode(shown, safe="*/:")
