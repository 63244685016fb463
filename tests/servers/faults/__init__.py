"""Servers that misbehave: each fault is a row of a table, and says how a call that meets it has to end."""

from tests.servers.faults.fault import SECRET, VALUE, Fault, Good, faulty_server

__all__ = ["SECRET", "VALUE", "Fault", "Good", "faulty_server"]
