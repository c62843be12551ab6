"""Certificates: made once, kept, renewed in time, and good for a real handshake."""

import ipaddress
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from streaming.config import Config
from streaming.gateway import tls
from streaming.gateway.listening import listening
from streaming.gateway.server import Gateway
from streaming.gateway.tls import CERTIFICATE_FILE, TlsError, fingerprint, given_context, kept_context, own_addresses
from streaming.tdm.clock import SystemClock
from tests.fakes import ScriptedModel
from tests.streaming.gateway.place import Loudness, Peer

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def made(folder: Path, now: datetime = NOW) -> x509.Certificate:
    kept_context(folder, now)
    return x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())


def trusting(folder: Path) -> ssl.SSLContext:
    """A client that trusts the kept certificate and nothing else, and checks names."""
    return ssl.create_default_context(cafile=str(folder / CERTIFICATE_FILE))


def test_it_is_for_every_name_and_address_of_this_machine(tmp_path: Path) -> None:
    certificate = made(tmp_path)
    known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", socket.gethostname().lower()} <= set(known.get_values_for_type(x509.DNSName))
    addresses = {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"), *own_addresses()}
    assert addresses <= set(known.get_values_for_type(x509.IPAddress))
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= tls.VALID
    assert stat.S_IMODE((tmp_path / CERTIFICATE_FILE).stat().st_mode) == 0o600
    assert fingerprint(tmp_path).count(":") == 31


def test_addresses_of_this_machine_alone_or_of_one_link_are_no_way_in() -> None:
    assert not [one for one in own_addresses() if one.is_loopback or one.is_link_local]
    assert {one.version for one in own_addresses("0.0.0.0")} <= {4}


def test_it_is_kept_until_it_would_soon_be_over(tmp_path: Path) -> None:
    first = made(tmp_path)
    assert made(tmp_path, NOW + timedelta(days=300)) == first
    second = made(tmp_path, NOW + timedelta(days=370))
    assert second != first
    assert made(tmp_path, NOW - timedelta(days=30)) != second  # a clock that was set back makes it not valid yet


def test_a_new_address_or_name_needs_a_new_one_and_one_that_went_away_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, cafe = ipaddress.ip_address("192.168.1.7"), ipaddress.ip_address("10.9.8.7")
    monkeypatch.setattr(tls, "own_addresses", lambda: [home, cafe])
    both = made(tmp_path)
    monkeypatch.setattr(tls, "own_addresses", lambda: [cafe])
    assert made(tmp_path) == both
    monkeypatch.setattr(tls, "own_addresses", lambda: [cafe, ipaddress.ip_address("10.0.0.2")])
    third = made(tmp_path)
    assert third != both
    monkeypatch.setattr(socket, "gethostname", lambda: "other")
    assert made(tmp_path) != third


@pytest.mark.parametrize("part", ["everything", "key", "certificate"])
def test_what_is_spoilt_is_made_anew(tmp_path: Path, part: str) -> None:
    first = made(tmp_path)
    path = tmp_path / CERTIFICATE_FILE
    key, mark, rest = path.read_text().partition("-----BEGIN CERTIFICATE-----")
    spoilt = {"everything": "", "key": key[:60] + mark + rest, "certificate": key + mark + rest[:90]}
    path.write_text(spoilt[part])
    assert made(tmp_path) != first


async def test_a_call_over_wss_with_a_handshake_that_checks_everything(tmp_path: Path) -> None:
    gateway = Gateway(Config(), None, SystemClock())
    async with listening(gateway, "127.0.0.1", 0, kept_context(tmp_path)) as address, aiohttp.ClientSession() as http:
        gateway.start(ScriptedModel(), Loudness())
        assert address.startswith("https://127.0.0.1:")
        for host in ("127.0.0.1", "localhost"):
            url = f"{address.replace('127.0.0.1', host)}/v1/realtime"
            async with http.ws_connect(url, ssl=trusting(tmp_path)) as connection:
                peer = Peer(connection)
                await peer.until("session.created")
                assert await peer.ask("Hello") == "You said Hello ."
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(address)  # nobody vouches for it: whoever does not know it must be asked
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(address.replace("https", "http"))


def test_files_of_ones_own_are_used(tmp_path: Path) -> None:
    kept_context(tmp_path)
    key, mark, rest = (tmp_path / CERTIFICATE_FILE).read_text().partition("-----BEGIN CERTIFICATE-----")
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_text(mark + rest)
    private.write_text(key)
    given_context(certificate, private)
    for wrong in ((private, certificate), (certificate, certificate)):
        with pytest.raises(TlsError, match="PEM"):
            given_context(*wrong)
    with pytest.raises(TlsError, match="--tls-cert"):
        given_context(certificate, tmp_path / "absent.pem")
