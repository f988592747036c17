"""Servers of this machine are asked without TLS."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It trusts nobody. For one that trusts the machine's authorities httpx takes 33 ms of CPU a client."""
