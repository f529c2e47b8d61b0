"""A small Kubernetes client on the standard library, for the launcher, the demo and the tests.

The product talks to the API through `scheduler.kube`; this one exists so that
setting up a cluster does not depend on what is being tested with it.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import yaml

Object = dict[str, Any]
Documents = Path | str | Mapping[str, Any] | Iterable[Mapping[str, Any]]

FIELD_MANAGER = "lockstep-local"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML, so the body may be JSON
_DROPPED = (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_DISCOVERY_WAIT_S = 5.0
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a CRD with pod templates has 20,000 lines


class ApiError(RuntimeError):
    """The API server's refusal, with its HTTP status and its Status object."""

    def __init__(self, status: int, body: Object) -> None:
        super().__init__(f"{status} {body.get('reason', '')}: {body.get('message', '')}")
        self.status = status
        self.body = body


class ApiClient:
    """Blocking requests over kept-alive connections; may be used from several threads."""

    def __init__(self, url: str, *, ca_file: Path, token: str) -> None:
        self._address = urlsplit(url).netloc
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._headers = {"Authorization": f"Bearer {token}"}
        self._idle: deque[http.client.HTTPSConnection] = deque()
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; the client stays usable."""
        while self._idle:
            self._idle.pop().close()

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Object:
        """The decoded answer, `{"text": ...}` for the few that are not JSON. Raises ApiError."""
        target = f"{path}?{urlencode(query)}" if query else path
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept} | ({"Content-Type": content_type} if payload is not None else {})
        status, raw = self._exchange(method, target, payload, headers)
        answer = _decode(raw)
        if status >= 400:
            raise ApiError(status, answer)
        return answer

    def get(self, path: str, **query: str) -> Object:
        return self.request("GET", path, None, **query)

    def delete(self, path: str, **query: str) -> Object:
        return self.request("DELETE", path, None, **query)

    def apply(self, documents: Documents, *, dry_run: bool = False) -> list[Object]:
        """Server-side apply, in order; what has only a generateName is created.

        Returns what is stored, or with `dry_run` what would be.
        """
        query = {"dryRun": "All"} if dry_run else {}
        return [self._apply_one(document, query) for document in load_documents(documents)]

    def create(self, documents: Documents, *, in_flight: int = 16) -> list[Object]:
        """POST many independent objects at once; the fast way to thousands of nodes or pods."""

        def post(document: Object) -> Object:
            return self.request("POST", self._collection(document), document)

        with ThreadPoolExecutor(in_flight) as pool:
            return list(pool.map(post, load_documents(documents)))

    def await_groups(self, groups: Collection[str]) -> None:
        """Wait until controllers that start now find these API groups: the one document that they discover
        kinds from lags behind a new CRD. Raises LookupError."""
        deadline = time.monotonic() + _DISCOVERY_WAIT_S
        while missing := {*groups} - self._groups():
            if time.monotonic() > deadline:
                raise LookupError(f"the API server does not show {sorted(missing)[0]}")
            time.sleep(0.05)

    def _groups(self) -> set[str]:
        return {one["metadata"]["name"] for one in self.request("GET", "/apis", accept=_DISCOVERY)["items"]}

    def path_of(self, document: Mapping[str, Any]) -> str:
        """Request path of the object that `document` names."""
        return f"{self._collection(document)}/{document['metadata']['name']}"

    def _apply_one(self, document: Object, query: Mapping[str, str]) -> Object:
        if "name" not in document["metadata"]:
            return self.request("POST", self._collection(document), document, **query)
        query = {"fieldManager": FIELD_MANAGER, "force": "true", **query}
        return self.request("PATCH", self.path_of(document), document, content_type=_APPLY, **query)

    def _collection(self, document: Mapping[str, Any]) -> str:
        group_version = str(document["apiVersion"])
        plural, namespaced = self._resource(group_version, str(document["kind"]))
        root = _root(group_version)
        if not namespaced:
            return f"{root}/{plural}"
        return f"{root}/namespaces/{document['metadata'].get('namespace', 'default')}/{plural}"

    def _resource(self, group_version: str, kind: str) -> tuple[str, bool]:
        """Plural name and scope from discovery; waits a little, a new CRD takes a moment to be served."""
        deadline = time.monotonic() + _DISCOVERY_WAIT_S
        while (group_version, kind) not in self._resources:
            self._discover(group_version)
            if (group_version, kind) in self._resources:
                break
            if time.monotonic() > deadline:
                raise LookupError(f"the API server does not serve {group_version} {kind}")
            time.sleep(0.1)
        return self._resources[group_version, kind]

    def _discover(self, group_version: str) -> None:
        try:
            listing = self.get(_root(group_version))
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise
            return
        for resource in listing["resources"]:
            if "/" not in resource["name"]:
                self._resources[group_version, resource["kind"]] = resource["name"], resource["namespaced"]

    def _exchange(
        self, method: str, target: str, payload: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        while True:
            reused, connection = self._connection()
            try:
                connection.request(method, target, payload, {**self._headers, **headers})
                response = connection.getresponse()
                answer = response.status, response.read()
            except BaseException as error:
                connection.close()
                # A kept-alive connection may have died with the server it led to; a fresh one tells.
                if reused and isinstance(error, _DROPPED):
                    continue
                raise
            self._idle.append(connection)
            return answer

    def _connection(self) -> tuple[bool, http.client.HTTPSConnection]:
        try:
            return True, self._idle.pop()
        except IndexError:
            return False, http.client.HTTPSConnection(self._address, context=self._tls, timeout=60)


def load_documents(documents: Documents) -> list[Object]:
    """Objects of a manifest file, a folder, a YAML text, one object or several; Lists are unpacked."""
    match documents:
        case Path() if documents.is_dir():
            return [item for file in sorted(documents.glob("*.yaml")) for item in load_documents(file)]
        case Path():
            return load_documents(documents.read_text(encoding="utf-8"))
        case str():
            return load_documents([item for item in yaml.load_all(documents, Loader=_LOADER) if item])
        case Mapping():
            return load_documents([documents])
        case _:
            return [dict(item) for document in documents for item in _unpack(document)]


def _unpack(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    items: Iterable[Mapping[str, Any]] = document["items"] if document.get("kind") == "List" else [document]
    return items


def _root(group_version: str) -> str:
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


def _decode(raw: bytes) -> Object:
    try:
        answer = json.loads(raw)
    except ValueError:
        return {"text": raw.decode(errors="replace")}
    return answer if isinstance(answer, dict) else {"text": raw.decode()}
