"""Objects of other schedulers that describe the fabric, read from the API server now and then."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scheduler.kube.client import ApiClient, Unclear

log = logging.getLogger(__name__)

_EVERY_S = 30.0
_ABSENT = 404

Objects = tuple[Mapping[str, Any], ...]


async def read_objects(client: ApiClient, resources: Sequence[str]) -> Objects:
    """All objects of these resources (group/version/resource); a kind that is not installed has none.

    Raises Unclear for any other answer.
    """
    found: list[Mapping[str, Any]] = []
    for resource in resources:
        reply = await client.request("GET", f"/apis/{resource}", timeout_s=60)
        if reply.status == _ABSENT:
            continue
        if not reply.ok:
            raise Unclear(f"GET /apis/{resource}: {reply.status} {reply.body.decode(errors='replace')[:200]}")
        found += _items(json.loads(reply.body))
    return tuple(found)


def _items(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The items of a list, each with its kind, without what changes at every write."""
    kind, api = str(document.get("kind", "")).removesuffix("List"), document.get("apiVersion")
    return [{"kind": kind, "apiVersion": api, **_lasting(one)} for one in document.get("items") or ()]


def _lasting(one: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {
        key: value for key, value in one.get("metadata", {}).items() if key in ("name", "annotations")
    }
    return {"metadata": metadata, "spec": one.get("spec")}


class ObjectFeed:
    """Keeps the objects of a configuration's sources; tells of every change."""

    def __init__(
        self, client: ApiClient, resources: Sequence[str], changed: Callable[[Objects], None]
    ) -> None:
        self._client, self._resources, self._changed = client, tuple(resources), changed
        self._known: Objects | None = None
        self._error = ""

    async def run(self) -> None:
        """Never returns; what was read last counts while the server does not answer."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Read once, and tell if anything changed."""
        try:
            found = await read_objects(self._client, self._resources)
        except (Unclear, ValueError) as error:
            if str(error) != self._error:
                log.warning("objects of the fabric cannot be read: %s", error)
            self._error = str(error)
            return
        self._error = ""
        if found != self._known:
            self._known = found
            self._changed(found)
