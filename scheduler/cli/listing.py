"""`lockstep gangs` and `lockstep explain`: from the running service, or from a snapshot."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from scheduler.cli.exits import BAD_INPUT, NOT_NOW, YES, of_verdicts
from scheduler.cli.output import Format, age, clean, columns, emit
from scheduler.cli.planning import print_decision
from scheduler.model import GangKey, InvalidField, InvalidInput

Document = dict[str, Any]

_RUNNING = ("bound", "reserved", "committing")


@dataclass(frozen=True, slots=True)
class Server:
    """A running service: its address, the bearer token it is asked with, and the file of the
    certificates that may have signed its own (the system's otherwise)."""

    address: str
    token: str | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class Gangs:
    """Where gangs are read from."""

    server: Server
    snapshots: Sequence[str]
    config: str | None

    def rows(self) -> list[Document]:
        """One line per gang."""
        if not self.snapshots:
            found: list[Document] = _get(self.server, "/v1/gangs")["gangs"]
            return found
        from scheduler.cli import offline  # noqa: PLC0415

        return offline.rows(self.snapshots, self.config)

    def detail(self, named: str) -> Document | None:
        """Everything about one gang; None when there is none of that name."""
        namespace, _, name = named.partition("/")
        if self.snapshots:
            from scheduler.cli import offline  # noqa: PLC0415

            return offline.detail(self.snapshots, self.config, GangKey(namespace, name))
        try:
            return _get(self.server, f"/v1/gangs/{quote(namespace, safe='')}/{quote(name, safe='')}")
        except FileNotFoundError:
            return None


def gangs(source: Gangs, *, namespace: str | None, output: Format) -> int:
    """List the gangs of a namespace, or of all with None; the exit code."""
    rows = [row for row in source.rows() if namespace in (None, row["gang"].split("/")[0])]
    document = {"schema": "lockstep.gangs/v1", "gangs": rows}
    emit(
        document,
        output,
        table=lambda wide: _table(rows, namespace, wide=wide),
        names=lambda: [row["gang"] for row in rows],
    )
    return YES


def _table(rows: list[Document], namespace: str | None, *, wide: bool) -> None:
    if not rows:
        print("No gangs found." if namespace is None else f"No gangs found in {namespace} namespace.")
        return
    heads = ["GANG", "STATE", "PODS", "GPUS", "WHERE", "SINCE", "REASON"]
    cells = [
        [
            row["gang"] if namespace is None else row["gang"].split("/", 1)[1],
            row["state"],
            f"{row['pods']['bound']}/{row['pods']['wanted']}",
            str(row["gpus"]),
            row["where"] or "-",
            age(row["since_s"]),
            row["reason"] or "-",
        ]
        for row in rows
    ]
    if not wide:
        cells = [[*line[:-1], _short(line[-1])] for line in cells]
    columns(heads, cells)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def explain(source: Gangs, named: str, *, output: Format) -> int:
    """Everything about one gang; the exit code says where it stands."""
    found = source.detail(named)
    if found is None:
        near = close_names(named, [row["gang"] for row in source.rows()])
        such = f", such as {', '.join(map(clean, near))}" if near else ""
        wanted = f"a gang that exists{such}: `lockstep gangs -A` lists them"
        raise InvalidInput(InvalidField("command line", "gang", named, wanted))
    emit(found, output, table=lambda wide: _explain(found, wide=wide), names=lambda: [named])
    if found["state"] in _RUNNING:
        return YES
    if found["state"] == "invalid":
        return BAD_INPUT
    decision = found.get("decision")
    refused = decision and decision["verdict"] in ("blocked", "impossible")
    return of_verdicts([decision["verdict"]]) if decision and refused else NOT_NOW


def close_names(named: str, names: Sequence[str]) -> list[str]:
    """Up to three gangs that may be meant: those whose names go on where the given one ends, as with
    a revision; else those written alike."""
    longer = [name for name in names if name.startswith(named)]
    return sorted(longer)[:3] or get_close_matches(named, names, n=3)


def record(source: Gangs, named: str, *, file: str) -> int:
    """Write the last decision about a gang to a file; the exit code."""
    namespace, _, name = named.partition("/")
    if source.snapshots:
        wanted = "a running service: a snapshot has no decisions"
        raise InvalidInput(InvalidField("command line", "--record", file, wanted))
    try:
        path = f"/v1/gangs/{quote(namespace, safe='')}/{quote(name, safe='')}/decision"
        found = _get(source.server, path)
    except FileNotFoundError:
        wanted = "a gang about which something was decided since the service started"
        raise InvalidInput(InvalidField("command line", "gang", named, wanted)) from None
    Path(file).write_text(json.dumps(found), encoding="utf-8")
    print(f"written: {file}")
    return YES


def _explain(found: Document, *, wide: bool) -> None:
    pods = found["pods"]
    print(f"{clean(found['gang'])}: {found['state']} for {age(found['since_s'])}")
    print(f"pods: {pods['present']} of {pods['wanted']} exist, {pods['bound']} bound; {found['gpus']} GPUs")
    decision = found.get("decision")
    if decision and decision.get("shape"):
        shape = decision["shape"]
        sizes = ", ".join(f"{key} {shape[key]}" for key in ("tp", "pp", "dp", "ep") if shape.get(key))
        print(f"shape: {sizes or 'no parallelism known'}; recognised by {decision['source']}")
        for size, where in shape.get("sources", {}).items():
            print(f"  {size}: {clean(where)}")
    if found["where"]:
        print(f"where: {clean(found['where'])}")
    if found["reason"] and not (decision and decision.get("reason")):
        print(f"reason: {clean(found['reason'])}")
    if decision and found["state"] not in ("forming", "degraded"):
        print(f"decision: {decision['verdict']}, {decision['proof']}")
        print_decision(decision, wide=wide)


def _get(server: Server, path: str) -> Document:
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    try:
        secure = server.address.startswith("https:")
        trusted = ssl.create_default_context(cafile=server.authority) if secure else None
        request = Request(server.address.rstrip("/") + path, headers=headers)
        with urlopen(request, timeout=10, context=trusted) as reply:
            found: Document = json.load(reply)
            return found
    except HTTPError as error:
        if error.code == 404:
            raise FileNotFoundError(path) from error
        wanted = _ANSWERS.get(error.code, f"an answer; it was {error.code}")
        raise InvalidInput(InvalidField("service", "server", server.address, wanted)) from error
    except (URLError, ValueError, OSError) as error:
        wanted = "the address of a running `lockstep serve` (--server or LOCKSTEP_SERVER), or --snapshot FILE"
        raise InvalidInput(InvalidField("command line", "server", server.address, wanted)) from error


_ANSWERS = {
    401: "a token that the API server knows (--token or LOCKSTEP_TOKEN); it answered 401",
    403: "a token of somebody who may list pods there; it answered 403",
}
