"""The connection to the API server: where it is, who we are, and plain HTTP with bytes.

Address, TLS and credentials come from the official client's configuration
loaders; requests go through aiohttp, because hundreds of them run at once.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

_CONNECTIONS = 96  # one per watched kind, the rest for writes
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an API server; files are paths, `token` a bearer token or empty; `user`: whom to
    impersonate, if anybody."""

    url: str
    token: str = ""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    user: str = ""


class NoAccess(RuntimeError):
    """No usable configuration for the API server; the message says what was tried."""


def load_access(
    *, kubeconfig: str | None = None, context: str | None = None, user: str | None = None
) -> Access:
    """From a kubeconfig (argument, KUBECONFIG, ~/.kube/config) or, inside a pod, its service account.

    `user`: whom to act as, which the API server allows to those with the right to impersonate.
    """
    from kubernetes import client, config  # noqa: PLC0415  (43 MiB; only who talks to a cluster pays)

    settings = client.Configuration()
    try:
        in_pod = kubeconfig is None and context is None and _in_cluster(config, settings)
        if not in_pod:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, context=context, client_configuration=settings
            )
    except config.ConfigException as error:
        raise NoAccess(f"no access to a cluster: {error}") from error
    token = str(settings.api_key.get("authorization", "") or settings.api_key.get("BearerToken", ""))
    return Access(
        url=str(settings.host).rstrip("/"),
        token=token.removeprefix("Bearer ").removeprefix("bearer "),
        ca_file=settings.ssl_ca_cert,
        cert_file=settings.cert_file,
        key_file=settings.key_file,
        verify=bool(settings.verify_ssl),
        user=user or "",
    )


def _in_cluster(config: Any, settings: Any) -> bool:
    if not Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists():
        return False
    config.load_incluster_config(client_configuration=settings)
    return True


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body of an answer; `retry_after_s`: how long the server asks to be left alone."""

    status: int
    body: bytes
    retry_after_s: float = 0.0

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Unclear(RuntimeError):
    """The request was sent and no answer came: it may or may not have taken effect."""


class ApiClient:
    """An asynchronous HTTP client of one API server; use it as a context manager."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=_tls(self.access), keepalive_timeout=60)
        headers = {"Accept": "application/json", "User-Agent": "lockstep"}
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        if self.access.user:
            headers["Impersonate-User"] = self.access.user
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Reply:
        """One request; raises Unclear when the connection failed or time ran out."""
        assert self._session is not None
        headers = {"Content-Type": content_type} if body is not None else {}
        try:
            async with self._session.request(
                method,
                self.access.url + path,
                data=body,
                headers=headers,
                params=query,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                return Reply(response.status, await response.read(), _retry_after_s(response))
        except (aiohttp.ClientError, OSError) as error:
            raise Unclear(f"{method} {path}: {str(error) or type(error).__name__}") from error

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """A watch: batches of whole lines as they come, until the server ends it.

        Raises WatchRefused for an answer other than 200, Unclear for a lost connection.
        """
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)
        try:
            async with self._session.get(self.access.url + path, params=query, timeout=timeout) as response:
                if response.status != 200:
                    asked_s = _retry_after_s(response)
                    raise WatchRefused(response.status, await response.text(), retry_after_s=asked_s)
                yield _batches(response)
        except (aiohttp.ClientError, OSError) as error:
            raise Unclear(f"watch {path}: {str(error) or type(error).__name__}") from error


class WatchRefused(RuntimeError):
    """The API server answered a watch with an error."""

    def __init__(self, status: int, text: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{status}: {text[:200]}")
        self.status, self.retry_after_s = status, retry_after_s


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


async def _batches(response: aiohttp.ClientResponse) -> AsyncIterator[list[bytes]]:
    rest = b""
    async for chunk in response.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        if whole:
            yield [line for line in whole if line]


def _tls(access: Access) -> ssl.SSLContext | bool:
    if not access.url.startswith("https"):
        return True
    context = ssl.create_default_context(cafile=access.ca_file)
    if not access.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if access.cert_file:
        context.load_cert_chain(access.cert_file, access.key_file)
    return context
