"""Which hosts the endpoint answers for: the names that a request may give, so that no foreign one is rebound to it.

A web page reaches a server of the visitor's machine by letting its own name point there (DNS rebinding); the request
then names the page's host. An IP literal cannot be rebound.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from onnxhybrid.errors import Error

ANY = "*"

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.ASCII)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.%]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{0,5}))?", re.ASCII)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Hosts:
    """The hosts that requests may name.

    Attributes:
        names: names, in lower case and without a trailing dot.
        addresses: addresses.
        literals: whether any IP address is one of them, as for an endpoint that other machines reach; else those of
            loopback are.
        every: whether all hosts are.
    """

    names: frozenset[str]
    addresses: frozenset[Address]
    literals: bool
    every: bool = False

    def admit(self, host: str | Address) -> bool:
        """Whether requests may name this host."""
        if self.every:
            return True
        if isinstance(host, str):
            return host in self.names
        return self.literals or host in self.addresses or _plain(host).is_loopback


def hosts_of(bound: str, address: str, allowed: Iterable[str]) -> Hosts:
    """The hosts of an endpoint.

    On loopback it answers for `localhost`, loopback's addresses, `bound` and `allowed`. Elsewhere any IP address and
    the machine's own name are added: clients need one of them, and neither is a name that a stranger's DNS can give.

    Args:
        bound: the host that was asked for.
        address: the IP address that it is.
        allowed: further names or addresses, without ports; `*` for all.

    Raises:
        Error: OH552, an entry of `allowed` is none.
    """
    entries = [_entry(entry) for entry in allowed]
    known = [host for host in (host_of(bound), *entries) if host is not None]
    local = ip_address(address).is_loopback
    own = () if local else (socket.gethostname().lower(),)
    names = frozenset(("localhost", *own, *(host for host in known if isinstance(host, str))))
    addresses = frozenset(host for host in known if not isinstance(host, str))
    return Hosts(names, addresses, literals=not local, every=ANY in entries)


def _entry(entry: str) -> str | Address:
    host = ANY if entry == ANY else host_of(entry)
    if host is None:
        raise Error("OH552", f"{entry!r} in allow_hosts is no host: write a name or an IP address, without a port")
    return host


def host_of(text: str) -> str | Address | None:
    """The name (in lower case, without a trailing dot) or the address that a text is; None when it is neither."""
    text = text.lower()
    try:
        return ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        return text.removesuffix(".") if _NAME.fullmatch(text) else None


def named_by(authority: bytes) -> str | Address | None:
    """The host of an authority (`host`, `host:port`, `[address]:port`); None when it is malformed."""
    found = _AUTHORITY.fullmatch(authority.decode("latin-1").lower())
    if found is None or int(found["port"] or 0) > 65535:
        return None
    host = host_of(found["host"])
    return host if isinstance(host, IPv6Address) == found["host"].startswith("[") else None


def _plain(address: Address) -> Address:
    """An IPv4 address in IPv6's form as itself."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
