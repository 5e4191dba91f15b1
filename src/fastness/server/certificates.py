"""Both sides of TLS, from the files that settings name; a server's is made anew at each reload."""

from __future__ import annotations

import ssl
from pathlib import Path

from fastness.errors import InvalidOption
from fastness.server.settings import TlsSettings


def server_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """What TLS connections are taken with, `None` where no certificate is named.

    `InvalidOption` names the file that is wrong. TLS 1.2 is the oldest that is spoken.
    """
    if not tls.certificate:
        return None
    for name, path in (("tls.certificate", tls.certificate), ("tls.key", tls.key)):
        _require_readable(name, Path(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password given here OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: tls.key_password)
    except ssl.SSLError as error:
        raise InvalidOption(_explained(tls, error)) from error
    except (OSError, ValueError) as error:
        raise InvalidOption(
            f"tls.key {tls.key} cannot be used ({error}): check both files"
        ) from error
    return context


def client_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """What a node dials the others of its cluster with, `None` where they speak no TLS.

    All nodes speak TLS or none does. Who they are the cluster's secret says; that nobody reads
    or alters it on the way is what TLS is for.
    """
    if not tls.certificate:
        return None
    return trusting(tls.ca, "tls.ca")


def trusting(ca: str, name: str) -> ssl.SSLContext:
    """A client's context that trusts the CAs of a file, or the system's; `name` is for errors."""
    if ca:
        _require_readable(name, Path(ca))
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidOption(
            f"{name} {ca} holds no certificate in PEM ({error}): begin with -----BEGIN"
        ) from error


def _require_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidOption(
            f"{name} {path} cannot be read ({reason}): name a PEM file that this user may read"
        ) from error


def _explained(tls: TlsSettings, error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason == "KEY_VALUES_MISMATCH":
        return (
            f"tls.key {tls.key} is not the key of tls.certificate {tls.certificate}: name its own"
        )
    if "PASSWORD" in reason or "DECRYPT" in reason:
        return (
            f"tls.key {tls.key} is encrypted, and tls.key_password does not open it: set it (in "
            "FASTNESS_TLS_KEY_PASSWORD, say)"
        )
    return (
        f"tls.certificate {tls.certificate} and tls.key {tls.key} are no certificate and key in "
        f"PEM ({reason or error}): begin with -----BEGIN"
    )
