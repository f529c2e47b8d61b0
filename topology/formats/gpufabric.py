"""Rows of `nvidia-smi` about GPUs in an NVLink fabric, from its two outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from topology.reading import invalid

FIELDS = ("fabric.clusteruuid", "fabric.cliqueid", "fabric.state", "fabric.status")

_NOTHING = frozenset(
    ("", "n/a", "[n/a]", "not supported", "[not supported]", "unknown error", "[unknown error]")
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NO_UUID = "00000000-0000-0000-0000-000000000000"
_MOST = (1 << 32) - 1
_LONGEST = 1000  # far above any real line of a report
_FIELD = re.compile(r"(\s*)([A-Za-z][A-Za-z ]*?)\s*(?::\s*(.*?))?\s*")
_GPU = re.compile(r"GPU\s+[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
_QUERY_ROW = re.compile(r"\s*(?:[0-9A-Fa-f]{8}-[-0-9A-Fa-f]{27}|\[?N/A\]?)\s*(?:,[^,]*){3}")
_WANTED_ROW = "clusterUuid, cliqueId, state, status, as --format=csv,noheader prints them"


@dataclass(frozen=True, slots=True)
class GpuFabric:
    """One GPU; `domain` is empty when it is in no multi-node fabric, `attached` the GPUs announced."""

    domain: str
    state: str
    status: str
    health: str
    line: int
    attached: int | None = None

    @property
    def waits(self) -> bool:
        """True while registration has begun but is not completed."""
        return self.state.lower() not in {*_NOTHING, "completed"}

    @property
    def failed(self) -> bool:
        """True when registration completed with an error, or a domain is given without having completed."""
        done = self.state.lower() == "completed"
        if done and self.status.lower() not in {*_NOTHING, "success"}:
            return True
        return bool(self.domain) and not (done and self.status.lower() == "success")


def looks_like_query(text: str) -> bool:
    """True when the first line with content is a row or the header of the fabric query."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return bool(_QUERY_ROW.fullmatch(first.rstrip("\r"))) or FIELDS[0] in first.lower()


def looks_like_report(text: str) -> bool:
    """True for the report of -q, whole or cut down to Fabric sections."""
    return "NVSMI LOG" in text or re.search(r"^\s*ClusterUUID\s*:", text, re.MULTILINE) is not None


def query_rows(text: str, *, name: str) -> tuple[GpuFabric, ...]:
    """One row per GPU; a header line, when there is one, orders the columns. Raises InvalidSource."""
    columns: tuple[str, ...] = FIELDS
    rows: list[GpuFabric] = []
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if cells == [""]:
            continue
        lowered = tuple(cell.lower() for cell in cells)
        if FIELDS[0] in lowered and not rows:
            columns = lowered
            missing = [field for field in FIELDS if field not in columns]
            if missing:
                raise invalid(f"{name}:{number}", "header", line.strip(), f"a column {missing[0]} too")
            continue
        if len(cells) != len(columns):
            raise invalid(f"{name}:{number}", "row", line.strip(), _WANTED_ROW)
        values = dict(zip(columns, cells, strict=True))
        rows.append(_row(*(values[field] for field in FIELDS), where=f"{name}:{number}", line=number))
    if not rows:
        raise invalid(name, "file", text[:40], _WANTED_ROW)
    return tuple(rows)


def report_rows(text: str, *, name: str) -> tuple[GpuFabric, ...]:
    """One row per GPU of a report; a GPU without a Fabric section is in no fabric. Raises InvalidSource."""
    attached = re.search(r"^\s*Attached GPUs\s*:\s*([0-9]{1,4})\s*$", text, re.MULTILINE)
    count = int(attached[1]) if attached else None
    rows = [_report_row(fields, line, name, count) for line, fields in _sections(text)]
    if not rows:
        raise invalid(name, "file", text[:40], "a report of nvidia-smi -q with at least one GPU")
    return tuple(rows)


def _report_row(fields: Mapping[str, str], line: int, name: str, attached: int | None) -> GpuFabric:
    wanted = (fields.get(key, "") for key in ("ClusterUUID", "CliqueId", "State", "Status"))
    return _row(
        *wanted,
        where=f"{name}:{line}",
        line=line,
        health=fields.get("Summary", "").lower(),
        attached=attached,
    )


def _sections(text: str) -> list[tuple[int, dict[str, str]]]:
    """Per GPU a line number and the fields of its Fabric section; no fields for a GPU that has none."""
    found: list[tuple[int, dict[str, str]]] = []
    depth: int | None = None
    fresh = False  # a GPU has been announced whose section has not come yet
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > _LONGEST:
            continue
        if _GPU.match(line):
            found.append((number, {}))
            depth, fresh = None, True
            continue
        field = _FIELD.fullmatch(line.rstrip("\r"))
        if field is None:
            continue
        indent, key, value = len(field[1]), field[2], field[3]
        if key == "Fabric" and value is None:
            if not fresh:
                found.append((number, {}))
            depth, fresh = indent, False
        elif depth is not None and indent <= depth:
            depth = None
        elif depth is not None and value is not None:
            found[-1][1].setdefault(key, value)
    return found


def _row(
    uuid: str,
    clique: str,
    state: str,
    status: str,
    *,
    where: str,
    line: int,
    health: str = "",
    attached: int | None = None,
) -> GpuFabric:
    return GpuFabric(_domain(uuid.lower(), clique, where), state, status, health, line, attached)


def _domain(uuid: str, clique: str, where: str) -> str:
    """The clique's name; empty without one, which all zeros mean too."""
    if uuid in _NOTHING:
        return ""
    if not _UUID.fullmatch(uuid):
        raise invalid(
            where, "clusterUuid", uuid, "a UUID such as 3f6c1a52-8d1e-4b6f-9a70-5e21c4d9b803, or N/A"
        )
    if uuid == _NO_UUID:
        return ""
    if not re.fullmatch(r"[0-9]{1,10}", clique) or int(clique) > _MOST:
        raise invalid(where, "cliqueId", clique, f"a whole number from 0 to {_MOST}")
    return f"{uuid}.{int(clique)}"
