"""TLS: with a certificate that the server makes for itself and keeps, or with files that it is given."""

import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from streaming.gateway.kept import keep, read_kept

log = logging.getLogger(__name__)

CERTIFICATE_FILE = "certificate.pem"
VALID = timedelta(days=397)
"""the longest that browsers accept"""
RENEWED = timedelta(days=30)
"""before its end a certificate is made anew, when the server starts"""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TlsError(RuntimeError):
    """There is no certificate to use. The message says what to do."""


def own_addresses(listens_on: str = "::") -> list[_Address]:
    """The addresses at which other machines may find this one: the one that leads outside first, then IPv4, then IPv6.

    Addresses of one link only are left out: a browser cannot open them without saying which link is meant.

    Args:
        listens_on: 0.0.0.0 for those of IPv4 only.
    """
    shown = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    found = {ipaddress.ip_address(address) for address in shown}
    outward, most = _outward_address(), 4 if listens_on == "0.0.0.0" else 6
    return sorted(
        (one for one in found if not (one.is_loopback or one.is_link_local) and one.version <= most),
        key=lambda one: (one != outward, one.version, int(one)),
    )


def _outward_address() -> _Address | None:
    """The address that this machine sends from; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # nothing is sent: connecting a datagram socket only looks up the route, here to an example address
            probe.connect(("198.51.100.1", 9))
            return ipaddress.ip_address(probe.getsockname()[0])
        except OSError:
            return None


def given_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS with files of the operator's own.

    Raises:
        TlsError: they cannot be read, or do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # asked on the terminal, a passphrase would hold up a service that nobody watches
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        message = f"{certificate} and {key} are no certificate and its key, as PEM without a passphrase: {error.reason}"
        raise TlsError(message) from error
    except OSError as error:
        raise TlsError(
            f"cannot read {certificate} or {key}: {error.strerror}; check --tls-cert and --tls-key"
        ) from error
    return context


def kept_context(folder: Path, now: datetime | None = None) -> ssl.SSLContext:
    """TLS with the certificate of this server, kept in a folder.

    It is made anew when it would soon be over, when this machine has got an address or a name that is not in it, and
    when it cannot be read.

    Raises:
        KeepError: it cannot be kept there.
    """
    path = folder / CERTIFICATE_FILE
    now = now or datetime.now(UTC)
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"), *own_addresses()]
    names = _own_names()
    kept = read_kept(path)
    if kept is not None and _serves(kept, names, addresses, now):
        with contextlib.suppress(ssl.SSLError):  # its key is spoilt, or another's
            return _context_of(path)
    keep(path, _made(names, addresses, now))
    log.info("made a certificate for %s, kept in %s", ", ".join([*names, *map(str, addresses)]), path)
    return _context_of(path)


def _context_of(path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, password="")
    return context


def fingerprint(folder: Path) -> str:
    """The kept certificate's SHA-256, as browsers show it."""
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _own_names() -> list[str]:
    host = socket.gethostname().lower()
    # the second is how a machine is found in a local network without a name server
    names = ["localhost", host, f"{host.partition('.')[0]}.local"]
    return [name for name in dict.fromkeys(names) if name.isascii() and name.strip(".")]


def _serves(kept: bytes, names: Iterable[str], addresses: Iterable[_Address], now: datetime) -> bool:
    """Whether what is kept is a certificate for all of these, and for some time yet."""
    with contextlib.suppress(ValueError, x509.ExtensionNotFound):
        certificate = x509.load_pem_x509_certificate(kept)
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEWED
            and set(names) <= set(known.get_values_for_type(x509.DNSName))
            and set(addresses) <= set(known.get_values_for_type(x509.IPAddress))
        )
    return False


def _made(names: Iterable[str], addresses: Iterable[_Address], now: datetime) -> bytes:
    """A new key and a certificate that it signs itself, as PEM in one file, so that the two always belong together."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Omni")])
    alternatives = [*(x509.DNSName(name) for name in names), *(x509.IPAddress(address) for address in addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a phone's clock may be behind
        .not_valid_after(now + VALID - timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
