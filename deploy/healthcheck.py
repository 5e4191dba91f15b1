"""Whether the server in this container turns its loop: exit code 0 or 1, for HEALTHCHECK."""

from __future__ import annotations

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

TIMEOUT_S = 4.0


def is_healthy() -> bool:
    """Ask its own admin pages."""
    port = int(os.environ.get("FASTNESS_ADMIN", "127.0.0.1:3279").rpartition(":")[2])
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    if os.environ.get("FASTNESS_TLS_CERTIFICATE"):
        # It is asked by no name that could be in the certificate, and sends nothing secret.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_healthy() else 1)
