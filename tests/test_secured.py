"""Secured connections: added authorities and client certificates."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import onnxhybrid as oh
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, raw_server

AUTHORITY = trustme.CA()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """PEM files: the authority that signs all, and a client's certificate and key."""
    client = AUTHORITY.issue_cert("client@example.com")
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "certificate", "key")}
    AUTHORITY.cert_pem.write_to_path(paths["ca"])
    client.private_key_pem.write_to_path(paths["key"])
    for position, blob in enumerate(client.cert_chain_pems):
        blob.write_to_path(paths["certificate"], append=position > 0)
    return paths


@contextlib.contextmanager
def https_server(*, mutual: bool = False) -> Iterator[tuple[str, list[object]]]:
    """A server of a right answer: its URL, and the certificates that clients showed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_OPTIONAL
    shown: list[object] = []
    with raw_server(answer(reply())) as server, socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    threading.Thread(target=talk, args=(plain,), daemon=True).start()

        def talk(plain: socket.socket) -> None:
            with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                shown.append(connection.getpeercert())
                data = b""
                while b'"outputs"' not in data:  # the end of the request's header
                    data += connection.recv(65536)
                answer(reply())(connection, data)

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}", shown
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    assert not server.requests


def call(url: str, policy: oh.Policy | None = None) -> None:
    (y,) = oh.Session(adder(url), policy=policy).run(None, {"x": X})
    assert y.shape == (2, 2)


def test_an_authority_that_is_added_is_trusted_in_that_session_alone(files: dict[str, Path]) -> None:
    with https_server() as (url, shown):
        call(url, oh.Policy(ca_file=files["ca"]))
        with pytest.raises(oh.RemoteRefused, match="OH501"):
            call(url)
    assert shown == [None]


def test_the_environment_adds_an_authority_for_every_session(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with https_server() as (url, _):
        monkeypatch.setenv("ONNXHYBRID_CA_FILE", str(files["ca"]))
        call(url)
        monkeypatch.setenv("ONNXHYBRID_CA_FILE", str(files["ca"].with_name("missing.pem")))
        with pytest.raises(oh.RemoteRefused, match=r"OH531.*missing\.pem"):
            call(url)
        monkeypatch.setenv("ONNXHYBRID_CA_FILE", str(files["key"]))
        with pytest.raises(oh.RemoteRefused, match="OH531"):
            call(url)


def test_a_client_certificate_is_shown_to_a_server_that_asks(files: dict[str, Path]) -> None:
    pair = (files["certificate"], files["key"])
    with https_server(mutual=True) as (url, shown):
        call(url, oh.Policy(ca_file=files["ca"], client_certificate=pair))
        with pytest.raises(oh.RemoteError, match=r"OH50[18]"):
            call(url, oh.Policy(ca_file=files["ca"]))
    assert "client@example.com" in str(shown[0])
    assert len(shown) == 1


def test_the_environments_client_certificate_is_shown_to_its_hosts_only(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("CA_FILE", "ca"), ("CLIENT_CERT", "certificate"), ("CLIENT_KEY", "key")):
        monkeypatch.setenv(f"ONNXHYBRID_{name}", str(files[value]))
    with https_server() as (url, shown):
        for hosts in (None, "example.com", "127.0.0.1"):
            if hosts:
                monkeypatch.setenv("ONNXHYBRID_CLIENT_CERT_HOSTS", hosts)
            call(url)
    assert [bool(certificate) for certificate in shown] == [False, False, True]


def test_certificates_that_are_renewed_are_read_again(files: dict[str, Path]) -> None:
    other = trustme.CA()
    other.cert_pem.write_to_path(files["ca"])
    os.utime(files["ca"], (1, 1))
    with https_server() as (url, _):
        session = oh.Session(adder(url), policy=oh.Policy(ca_file=files["ca"]))
        with pytest.raises(oh.RemoteRefused, match="OH501"):
            session.run(None, {"x": X})
        AUTHORITY.cert_pem.write_to_path(files["ca"])
        session.run(None, {"x": X})


def test_a_file_that_cannot_be_used_is_refused_when_the_session_is_made(files: dict[str, Path]) -> None:
    other = AUTHORITY.issue_cert("other").private_key_pem
    other.write_to_path(files["key"].with_name("other.pem"))
    secret = other.bytes().splitlines()[1].decode()
    for policy in (
        oh.Policy(ca_file=files["ca"].with_name("missing.pem")),
        oh.Policy(ca_file=files["key"]),
        oh.Policy(client_certificate=(files["certificate"], files["ca"])),
        oh.Policy(client_certificate=(files["key"], files["key"])),
        oh.Policy(client_certificate=(files["certificate"], files["key"].with_name("other.pem"))),
    ):
        with pytest.raises(oh.Error, match="OH530") as caught:
            oh.Session(adder("https://127.0.0.1:1"), policy=policy)
        assert secret not in str(caught.value)
