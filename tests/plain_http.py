"""Requests to servers on this machine, without TLS."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context without authorities: with those of the machine, httpx needs 33 ms of CPU per client."""
