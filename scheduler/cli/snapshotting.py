"""`lockstep snapshot`: what decides of a live cluster, as one List that `--snapshot` reads."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.cli.access import Asked
from scheduler.cli.exits import STALE, YES
from scheduler.cli.hiding import Names
from scheduler.cli.output import Format, emit, remark
from scheduler.config import Config, load_config
from scheduler.fabrics import resources_of
from scheduler.kube.client import Access, ApiClient, NoAccess, Unclear
from scheduler.kube.reflector import CLASSES, PATHS
from scheduler.model import InvalidField, InvalidInput

Object = dict[str, Any]

_SECRET = frozenset(
    {
        *("args", "command", "data", "env", "envFrom", "ephemeralContainers", "image", "imageID", "images"),
        *(
            "imagePullSecrets",
            "lifecycle",
            "livenessProbe",
            "managedFields",
            "readinessProbe",
            "startupProbe",
        ),
        *("stringData", "volumeDevices", "volumeMounts", "volumes"),
    }
)
"""Fields that may hold secrets or name them, at any depth; nothing that is decided hangs on them but
the sizes that an engine's own flags tell: those of annotations are kept."""

_WORDS = frozenset({"allocatable", "annotations", "capacity", "labels", "matchLabels", "nodeSelector"})
"""Fields whose keys are words of the cluster's own, not of the API."""

_TOLD_TWICE = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Taken:
    """Objects, and what could not be read: paths with the server's answer."""

    objects: tuple[Object, ...]
    missing: tuple[str, ...]


def snapshot(*, config: str | None, access: Asked, redact: bool, hashed: bool, output: Format) -> int:
    """Print the cluster, `hashed` with random words for its names; the exit code says whether all of it
    could be read.

    Raises InvalidInput when there is no cluster, or its nodes or pods cannot be listed.
    """
    configured = load_config(config)
    owners = [path for kind in configured.kinds if kind.facts is not None for path in kind.paths]
    more = [f"/apis/{path}" if "/" in path else path for path in resources_of(configured.sources)]
    paths = dict.fromkeys([*owners, *more, PATHS["PodGroup"], CLASSES])
    try:
        taken = asyncio.run(_take(access.load(), list(paths)))
    except (NoAccess, Unclear) as error:
        wanted = "a cluster that answers, whose nodes and pods you may list"
        raise InvalidInput(InvalidField("cluster", "kubeconfig", str(error), wanted)) from error
    items = [redacted(one) if redact else one for one in taken.objects]
    if hashed:
        items = Names(secrets.token_bytes(16), levels=_levels(configured)).hidden(items)
    document = {"apiVersion": "v1", "kind": "List", "items": items}
    emit(
        document,
        Format.JSON if output in (Format.TABLE, Format.WIDE) else output,
        table=lambda _: None,
        names=lambda: [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in items],
    )
    for fault in taken.missing:
        remark(f"left out: {fault}")
    return STALE if taken.missing else YES


def _levels(config: Config) -> list[str]:
    """The words of the configuration for the fabric's levels."""
    levels = config.levels.ordered() if config.levels is not None else ()
    return [word for level in levels for word in (level.name, level.label)]


def redacted(value: Any) -> Any:
    """The same object without what may hold secrets: environments, commands, volumes, images, data."""
    if isinstance(value, dict):
        return {
            key: _words(one) if key in _WORDS else redacted(one)
            for key, one in value.items()
            if key not in _SECRET
        }
    return [redacted(one) for one in value] if isinstance(value, list) else value


def _words(value: Any) -> Any:
    """Labels and the like as they are, but for the copy of the whole object that kubectl leaves."""
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in value.items() if key != _TOLD_TWICE}


async def _take(access: Access, paths: Sequence[str]) -> Taken:
    objects: list[Object] = []
    missing: list[str] = []
    async with ApiClient(access) as client:
        for path in (PATHS["Node"], PATHS["Pod"], *paths):
            reply = await client.request("GET", path, timeout_s=120)
            if reply.ok:
                objects += _items(reply.body)
            elif path in (PATHS["Node"], PATHS["Pod"]):
                raise Unclear(f"GET {path}: {reply.status} {reply.body[:200].decode(errors='replace')}")
            elif reply.status != 404:  # a kind that the cluster does not have is not missing
                missing.append(f"{path}: {reply.status}")
    return Taken(tuple(objects), tuple(missing))


def _items(body: bytes) -> list[Object]:
    """The objects of a list, each with the kind that it has in the list's name alone."""
    found = json.loads(body)
    kind = str(found["kind"]).removesuffix("List")
    return [{"apiVersion": found["apiVersion"], "kind": kind, **one} for one in found.get("items") or ()]
