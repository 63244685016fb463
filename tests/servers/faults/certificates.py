"""Certificates of servers, right and wrong."""

from __future__ import annotations

import datetime as dt
import functools
import ssl

import trustme

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
_HOSTS = ("127.0.0.1", "localhost")


@functools.cache
def _certificate(kind: str) -> trustme.LeafCert:
    past = dt.datetime(2001, 1, 1, tzinfo=dt.timezone.utc)
    return {
        "right": lambda: AUTHORITY.issue_cert(*_HOSTS),
        "of a stranger": lambda: STRANGER.issue_cert(*_HOSTS),
        "of another host": lambda: AUTHORITY.issue_cert("example.com"),
        "expired": lambda: AUTHORITY.issue_cert(*_HOSTS, not_after=past),
    }[kind]()


@functools.cache
def context(kind: str, speaks: str) -> ssl.SSLContext:
    """The TLS of a server that shows such a certificate and speaks such a protocol; none is said where it is "-"."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate(kind).configure_cert(made)
    if speaks != "-":
        made.set_alpn_protocols([speaks])
    return made
