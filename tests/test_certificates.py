"""Certificates that are trusted by themselves, and client keys that are encrypted."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.x509.oid import NameOID

import onnxhybrid as oh
from tests.remotes import X, adder, reply
from tests.servers.raw import answer, listening, read_request

PASSPHRASE = "a secret passphrase"
KEYS = Path(__file__).parent.parent / "native" / "tests" / "keys"

Key = ec.EllipticCurvePrivateKey


def certificate(path: Path, *, host: str = "localhost", authority: bool = True, days: int = 30) -> tuple[Path, Key]:
    """A self-signed certificate in a file, as `openssl req -x509` makes it, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=60))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names[: 1 if host != "localhost" else 2]), critical=False)
    )
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path, key


def written(path: Path, key: Key, passphrase: str = "", form: PrivateFormat = PrivateFormat.PKCS8) -> Path:
    """The key in a file, encrypted where there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    return path


@contextlib.contextmanager
def secured(shown: Path, key: Path, clients: Path | None = None) -> Iterator[tuple[str, list[Any]]]:
    """A server of a right answer that shows this certificate, and those that clients showed, where it asks for one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, key)
    seen: list[Any] = []
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)

    def talk(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            seen.append(connection.getpeercert())
            while request := read_request(connection):
                answer(reply())(connection, request)

    with listening(talk) as address:
        yield f"https://localhost:{address.rpartition(':')[2]}", seen


def call(url: str, **settings: Any) -> None:
    (y,) = oh.Session(adder(url, retries=0), policy=oh.Policy(**settings)).run(None, {"x": X})
    assert y.shape == (2, 2)


def accepted_by_python(url: str, ca_file: Path) -> bool:
    """Whether Python's own client accepts the server with this file."""
    context = ssl.create_default_context(cafile=str(ca_file))
    port = int(url.rpartition(":")[2])
    try:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            return True
    except ssl.SSLError:
        return False


@pytest.mark.parametrize("authority", [True, False])
def test_a_servers_own_certificate_is_trusted_where_it_is_given(tmp_path: Path, authority: bool) -> None:
    own, key = certificate(tmp_path / "own.pem", authority=authority)
    with secured(own, written(tmp_path / "key.pem", key)) as (url, _):
        assert accepted_by_python(url, own)
        call(url, ca_file=own)


@pytest.mark.parametrize(("wrong", "said"), [({"host": "other.example"}, "subjectAltName"), ({"days": -1}, "expired")])
def test_a_servers_own_certificate_still_has_to_fit(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    own, key = certificate(tmp_path / "own.pem", **wrong)
    with secured(own, written(tmp_path / "key.pem", key)) as (url, _):
        assert not accepted_by_python(url, own)
        with pytest.raises(oh.RemoteRefused, match=f"OH501.*{said}"):
            call(url, ca_file=own)


def test_a_certificate_that_cannot_be_trusted_says_which_kind_can(tmp_path: Path) -> None:
    own, key = certificate(tmp_path / "own.pem")
    other, _ = certificate(tmp_path / "other.pem")
    with secured(own, written(tmp_path / "key.pem", key)) as (url, _), pytest.raises(oh.RemoteRefused) as caught:
        call(url, ca_file=other)
    assert "(CA:TRUE), which is accepted only where that very certificate is in oh.Policy(ca_file=" in str(caught.value)
    with secured(KEYS / "version1.pem", KEYS / "plain.pem") as (url, _), pytest.raises(oh.RemoteRefused) as caught:
        call(url, ca_file=KEYS / "version1.pem")
    assert "version 1, which holds no names of hosts: sign one of version 3" in str(caught.value)


@pytest.mark.parametrize("given", [lambda text: text, oh.Secret, lambda text: lambda: text])
def test_a_client_shows_a_certificate_whose_key_is_encrypted(tmp_path: Path, given: Callable[[str], Any]) -> None:
    own, key = certificate(tmp_path / "own.pem")
    client, client_key = certificate(tmp_path / "client.pem", authority=False)
    encrypted = written(tmp_path / "encrypted.pem", client_key, PASSPHRASE)
    with secured(own, written(tmp_path / "key.pem", key), clients=client) as (url, seen):
        call(url, ca_file=own, client_certificate=(client, encrypted, given(PASSPHRASE)))
    assert len(seen) == 1
    assert seen[0]


def test_the_environments_key_has_a_passphrase_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, key = certificate(tmp_path / "own.pem")
    client, client_key = certificate(tmp_path / "client.pem", authority=False)
    encrypted = written(tmp_path / "encrypted.pem", client_key, PASSPHRASE)
    for name, value in (("CERT", client), ("KEY", encrypted), ("CERT_HOSTS", "localhost")):
        monkeypatch.setenv(f"ONNXHYBRID_CLIENT_{name}", str(value))
    with secured(own, written(tmp_path / "key.pem", key), clients=client) as (url, seen):
        with pytest.raises(oh.RemoteRefused, match=r"OH531.*ONNXHYBRID_CLIENT_KEY_PASSPHRASE"):
            call(url, ca_file=own)
        monkeypatch.setenv("ONNXHYBRID_CLIENT_KEY_PASSPHRASE", PASSPHRASE)
        call(url, ca_file=own)
    assert [bool(certificate) for certificate in seen] == [True]


def test_a_key_that_is_encrypted_says_how_to_give_its_passphrase_and_never_says_it(tmp_path: Path) -> None:
    client, key = certificate(tmp_path / "client.pem")
    encrypted = written(tmp_path / "encrypted.pem", key, PASSPHRASE)
    older = written(tmp_path / "older.pem", key, PASSPHRASE, PrivateFormat.TraditionalOpenSSL)
    for given, said in (
        ((client, encrypted), "encrypted, and no passphrase was given: oh.Policy(client_certificate="),
        ((client, encrypted, "another " + PASSPHRASE), "another passphrase than the one that was given"),
        ((client, older, PASSPHRASE), "openssl pkcs8 -topk8"),
        ((client, encrypted, lambda: ""), "its callable gave none"),
        ((client, encrypted, lambda: os.environ["ONNXHYBRID_NO_SUCH_VAULT"]), "could not be fetched: KeyError"),
    ):
        policy = oh.Policy(client_certificate=given)
        with pytest.raises(oh.Error, match="OH530") as caught:
            oh.Session(adder("https://127.0.0.1:1"), policy=policy)
        assert said in str(caught.value)
        assert PASSPHRASE not in str(caught.value) + repr(policy)
