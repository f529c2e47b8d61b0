"""`lockstep gangs` and `lockstep explain`: from the running service, or from a snapshot."""

from __future__ import annotations

import json
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from scheduler.cli.access import Asked
from scheduler.cli.exits import BAD_INPUT, NOT_NOW, STALE, YES, of_verdicts
from scheduler.cli.output import Format, age, clean, columns, emit, remark
from scheduler.cli.planning import print_decision
from scheduler.model import GangKey, InvalidField, InvalidInput

Document = dict[str, Any]

_POLL_S = 1.0
_USUAL = Asked()
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
    """Where gangs are read from: a service, or snapshots. `namespace`: of one alone; `selector`: those of
    pods with such labels, by the word of the snapshot or of `cluster`."""

    server: Server
    snapshots: Sequence[str]
    config: str | None
    namespace: str | None = None
    selector: str = ""
    cluster: Asked = _USUAL

    def rows(self) -> Document:
        """The list: a line per gang under `gangs`, and `stale` where it may not be true any more."""
        document = self._all()
        rows = [row for row in document["gangs"] if self.namespace in (None, row["gang"].split("/")[0])]
        if self.selector:
            from scheduler.cli import selecting  # noqa: PLC0415

            chosen = selecting.gangs_of(self.selector, self.snapshots, self.config, self.cluster)
            rows = [row for row in rows if row["gang"] in chosen]
        return {**document, "gangs": rows}

    def _all(self) -> Document:
        if not self.snapshots:
            query = f"?namespace={quote(self.namespace, safe='')}" if self.namespace else ""
            return _get(self.server, f"/v1/gangs{query}")
        from scheduler.cli import offline  # noqa: PLC0415

        return {"schema": "lockstep.gangs/v1", "gangs": offline.rows(self.snapshots, self.config)}

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


def gangs(source: Gangs, *, output: Format, heads: bool = True) -> int:
    """List the gangs; the exit code."""
    document = source.rows()
    _print(document, source.namespace, output=output, heads=heads)
    return _told_of_age(document)


def watch(source: Gangs, *, output: Format, heads: bool, rounds: int | None = None) -> int:
    """List the gangs, then those that change, as they do; until interrupted, or for so many rounds."""
    before: dict[str, Document] = {}
    code, first = YES, True
    while rounds is None or rounds > 0:
        document = source.rows()
        lasting = {row["gang"]: {**row, "since_s": 0} for row in document["gangs"]}
        changed = [row for row in document["gangs"] if before.get(row["gang"]) != lasting[row["gang"]]]
        gone = [{**before[name], "state": "gone"} for name in sorted(before.keys() - lasting.keys())]
        if changed or gone or first:
            shown = {**document, "gangs": [*changed, *gone]}
            _print(shown, source.namespace, output=output, heads=heads and first)
            sys.stdout.flush()
        before, first, code = lasting, False, _told_of_age(document)
        rounds = None if rounds is None else rounds - 1
        if rounds != 0:
            time.sleep(_POLL_S)
    return code


def _print(document: Document, namespace: str | None, *, output: Format, heads: bool) -> None:
    rows = document["gangs"]
    emit(
        document,
        output,
        table=lambda wide: _table(rows, namespace, wide=wide, heads=heads),
        names=lambda: [row["gang"] for row in rows],
    )


def _told_of_age(document: Document) -> int:
    """Say on standard error that an answer may be out of date; the exit code."""
    if not document.get("stale"):
        return YES
    remark(f"stale: {clean(str(document['stale']))}")
    return STALE


def _table(rows: list[Document], namespace: str | None, *, wide: bool, heads: bool) -> None:
    if not rows:
        print("No gangs found." if namespace is None else f"No gangs found in {clean(namespace)} namespace.")
        return
    titles = ["GANG", "STATE", "PODS", "GPUS", "WHERE", "SINCE", "REASON"]
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
    columns(titles, cells, heads=heads)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def explain(source: Gangs, named: str, *, output: Format) -> int:
    """Everything about one gang; the exit code says where it stands."""
    found = source.detail(named)
    if found is None:
        near = close_names(named, [row["gang"] for row in source.rows()["gangs"]])
        such = f", such as {', '.join(map(clean, near))}" if near else ""
        wanted = f"a gang that exists{such}: `lockstep gangs -A` lists them"
        raise InvalidInput(InvalidField("command line", "gang", named, wanted))
    emit(found, output, table=lambda wide: _explain(found, wide=wide), names=lambda: [named])
    late = _told_of_age(found)
    if found["state"] == "invalid":
        return BAD_INPUT
    if late or found["state"] in _RUNNING:
        return late
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
        print(f"shape: {sizes or 'no parallelism known'}; recognised by {clean(decision['source'])}")
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
