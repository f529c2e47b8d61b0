"""Reading JSON that other tools wrote: what has the wrong shape is named, and never stops the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from topology.reading import WARNING, Finding, invalid


def load_json(text: str, *, name: str) -> object:
    """The document; raises InvalidSource with the line of the first fault."""
    try:
        document: object = json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        shown = text.split("\n")[error.lineno - 1][:60] if text else ""
        raise invalid(f"{name}:{error.lineno}", "file", shown, f"JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise invalid(
            name, "file", text[:40], f"JSON of a size and depth that can be read ({error})"
        ) from error
    return document


def looks_like_json(text: str) -> bool:
    """True when the text begins as an object or a list."""
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


def word(record: Mapping[str, Any], *keys: str) -> str:
    """The first of some fields with printable text or a whole number in it, as text; empty when none has."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
            return str(value)
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value.strip()
    return ""


class Records:
    """Goes through the records of a document; what is no record becomes a finding, once per list."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: list[Finding] = []

    def under(
        self, record: Mapping[str, Any], key: str, where: str
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The objects in the list under a key with their places; no list at all counts as an empty one."""
        value = record.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.odd(f"{where}{key}", "a list of objects")
            return
        yield from self.each(value, f"{where}{key}")

    def each(self, values: list[Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The objects of a list with their places."""
        wrong = [at for at, value in enumerate(values) if not isinstance(value, Mapping)]
        if wrong:
            self.odd(f"{where}[{wrong[0]}]", f"an object, as {len(values) - len(wrong)} others there are")
        for at, value in enumerate(values):
            if isinstance(value, Mapping):
                yield f"{where}[{at}]", value

    def odd(self, where: str, wanted: str, *names: str) -> None:
        """Report a record that was left out."""
        place = f"{self.name} {where}"
        self.findings.append(
            Finding("OddRecord", WARNING, place, names, f"{where} left out; expected: {wanted}")
        )
