"""TLS for listeners: certificates that are read again when their files change, clients known by name."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.model import InvalidField, InvalidInput

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """Certificate chain and key in PEM; `client_ca` only where clients must show a certificate."""

    cert: str
    key: str
    client_ca: str = ""

    def state(self) -> tuple[tuple[int, int], ...]:
        """Changes whenever a file does; mounted secrets are swapped by a link, so it is followed."""
        found = []
        for file in filter(None, (self.cert, self.key, self.client_ca)):
            try:
                status = Path(file).stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)


class ServerTls:
    """The context to listen with; `renew` puts what the files hold now into every new connection."""

    def __init__(self, files: Files) -> None:
        self._files, self._state = files, files.state()
        self._current = _context(files)
        self.context = _context(files)
        self.context.sni_callback = self._use_current

    def renew(self) -> bool:
        """Whether the files have changed; what cannot be read leaves everything as it is."""
        state = self._files.state()
        if state == self._state:
            return False
        try:
            self._current = _context(self._files)
        except InvalidInput as error:
            log.warning("the old certificate stays in use: %s", error)
            return False
        self._state = state
        log.info("TLS: %s and its key are read again", self._files.cert)
        return True

    def _use_current(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = self._current


def _context(files: Files) -> ssl.SSLContext:
    """Raises InvalidInput that names the file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.cert, files.key)
    except (OSError, ssl.SSLError) as error:
        wanted = f"a certificate and its key in PEM ({error.strerror or error})"
        raise InvalidInput(
            InvalidField("configuration", "service.tls", f"{files.cert}, {files.key}", wanted)
        ) from error
    if files.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(files.client_ca)
        except (OSError, ssl.SSLError) as error:
            wanted = f"certificates in PEM ({error.strerror or error})"
            raise InvalidInput(
                InvalidField("configuration", "service.tls.clientCAFile", files.client_ca, wanted)
            ) from error
    return context


def names_of(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The common name and the DNS names of a peer's certificate, as `getpeercert` gives it."""
    if not certificate:
        return ()
    subject = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    dns = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    return (*subject, *dns)
