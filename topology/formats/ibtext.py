"""The text of `ibnetdiscover`: sections of switches, adapters and routers with their ports."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SWITCH, ADAPTER, ROUTER = "S", "H", "R"

_HEAD = re.compile(
    r"(?P<word>Switch|Ca|Rt)\s+[0-9]+\s+\"(?P<kind>[SHR])-(?P<guid>[0-9a-fA-F]{1,16})\"\s*(?:#(?P<rest>.*))?"
)
_PORT = re.compile(
    r"\[(?P<port>[0-9]{1,4})\](?:\[ext [0-9]+\])?\s*(?:\([0-9a-fA-F]+\))?\s*"
    r"\"(?P<kind>[SHR])-(?P<guid>[0-9a-fA-F]{1,16})\"\s*\[(?P<peer>[0-9]{1,4})\](?:\[ext [0-9]+\])?"
    r"\s*(?:\([0-9a-fA-F]+\))?\s*(?:#(?P<rest>.*))?"
)
_ATTRIBUTE = re.compile(r"(?:vendid|devid|sysimgguid|switchguid|caguid|rtguid)\s*=", re.IGNORECASE)
_SPEED = re.compile(r"[0-9]{1,2}x[A-Z]{3}(?:10)?")
_LONGEST = 1000  # far above any real line; the patterns are quadratic in white space
_KINDS = {"Switch": SWITCH, "Ca": ADAPTER, "Rt": ROUTER}


@dataclass(frozen=True, slots=True)
class Port:
    """One port line: the port's number, its peer, the peer's description, speed, and the line's number."""

    number: int
    kind: str
    peer: str
    peer_port: int
    description: str
    speed: str
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """A header with its port lines; GUIDs are 16 hexadecimal digits in lower case."""

    kind: str
    guid: str
    description: str
    line: int
    ports: list[Port] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Listing:
    """A file's sections in its order, and the numbers and texts of lines that mean nothing to us."""

    sections: tuple[Section, ...]
    unknown: tuple[tuple[int, str], ...]


def looks_like_ibnetdiscover(text: str) -> bool:
    """True when one of the first lines is a header or the tool's own first comment."""
    for line in text.lstrip("\ufeff").split("\n", 2000)[:2000]:
        stripped = line.strip()[:_LONGEST]
        if stripped.startswith("# Topology file: generated") or _header(stripped) is not None:
            return True
    return False


def parse_listing(text: str) -> Listing:
    """The sections of a file. Lines that fit no form are kept as unknown, port lines without header too."""
    sections: list[Section] = []
    unknown: list[tuple[int, str]] = []
    at: Section | None = None
    for number, raw in enumerate(text.lstrip("\ufeff").split("\n"), start=1):
        line = raw.strip()
        if len(line) > _LONGEST:
            unknown.append((number, line[:_LONGEST]))
            continue
        if not line or line[0] == "#" or _ATTRIBUTE.match(line):
            continue
        if line[0] == "[" and at is not None and (found := _PORT.fullmatch(line)) is not None:
            at.ports.append(_port(found, number))
        elif (head := _header(line)) is not None:
            at = Section(_KINDS[head["word"]], _guid(head["guid"]), _description(head["rest"]), number)
            sections.append(at)
        else:
            unknown.append((number, line))
    return Listing(tuple(sections), tuple(unknown))


def _header(line: str) -> re.Match[str] | None:
    """The parts of a header line whose word and GUID prefix agree."""
    found = _HEAD.fullmatch(line)
    return found if found is not None and _KINDS[found["word"]] == found["kind"] else None


def _port(found: re.Match[str], line: int) -> Port:
    rest = found["rest"] or ""
    return Port(
        int(found["port"]),
        found["kind"],
        _guid(found["guid"]),
        int(found["peer"]),
        _description(rest),
        _speed(rest[rest.rfind('"') + 1 :]),
        line,
    )


def _description(rest: str | None) -> str:
    """What stands between the first and the last quotation mark."""
    if not rest:
        return ""
    first, last = rest.find('"'), rest.rfind('"')
    return rest[first + 1 : last].strip() if first < last else ""


def _speed(tail: str) -> str:
    """The word such as 4xNDR behind the description."""
    return next((word for word in tail.split() if "x" in word and _SPEED.fullmatch(word)), "")


def _guid(digits: str) -> str:
    return digits.lower().rjust(16, "0")
