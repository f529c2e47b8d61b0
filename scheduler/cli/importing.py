"""`lockstep topology import`: the fabric from one format into another."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scheduler.cli.exits import BAD_INPUT, YES
from scheduler.cli.output import clean, complain
from scheduler.files import parse, texts
from scheduler.model import InvalidField, InvalidInput
from topology.formats import table
from topology.formats.table import WRITERS
from topology.merge import merge
from topology.reading import ERROR, Finding, Reading
from topology.spec import InvalidTopology

_NAMED = 8
_UNCLEAR = re.compile(r"[-+.0-9~]|(?i:true|false|yes|no|on|off|null|y|n)$")


_SafeDumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SafeDumper):  # type: ignore[misc, valid-type]  # the fast one where it is built in
    """YAML that every parser reads alike: what could be a number or a truth value stands in quotes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if _UNCLEAR.match(text) else None)


_Dumper.add_representer(str, _represent_text)


def convert(files: Sequence[str], *, source: str | None, target: str, output: str | None) -> int:
    """Read the files as one fabric and write it; findings go to standard error. The exit code."""
    _check("--to", target, tuple(WRITERS))
    try:
        reading, _ = read(files, source=source)
        written = WRITERS[target](reading)
    except InvalidTopology as error:
        complain(clean(str(error)))
        return BAD_INPUT
    findings = (*reading.findings, *written.findings)
    tell(findings)
    document = written.document
    content = document if isinstance(document, str) else dump(document)
    if output is None:
        print(content, end="")
    else:
        _save(content, output)
        print(f"{len(reading.nodes)} nodes written to {output} as {target}", file=sys.stderr)
    return BAD_INPUT if any(one.severity == ERROR for one in findings) else YES


def read(files: Sequence[str], *, source: str | None = None) -> tuple[Reading, Sequence[object]]:
    """Files of any formats as one reading, and the Kubernetes objects among them.

    What an earlier file says counts before a later one; objects of several
    files are read together, and last, so that a Topology may stand in one file
    and the nodes in another. Raises InvalidTopology and InvalidInput.
    """
    _check("--from", source, table.names())
    readings: list[Reading] = []
    objects: list[Any] = []
    places: list[str] = []
    for name, data in (one for file in files for one in texts(file)):
        form = table.text_format(_decoded(name, data), stated=source)
        if form is not None:
            readings.append(form.read(_decoded(name, data), name=name))
            continue
        documents = [one for one in parse(name, data) if one is not None]
        if documents and all(isinstance(one, Mapping) and "kind" in one for one in documents):
            objects += documents
            places.append(name)
        else:
            readings.append(table.read_documents(documents, name=name, stated=source))
    if objects:
        readings.append(table.read_documents(objects, name=" + ".join(places), stated=source))
    return merge(readings), objects


def tell(findings: Iterable[Finding]) -> None:
    """One line per finding on standard error."""
    for finding in findings:
        print(line_of(finding), file=sys.stderr)


def line_of(finding: Finding, *, every_name: bool = False) -> str:
    """A finding in one line: severity, place, sentence, and the first names, or all of them."""
    shown = [name for name in finding.names if name not in finding.message]
    most = len(shown) if every_name else _NAMED
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    names = f" ({', '.join(shown[:most])}{more})" if shown else ""
    return clean(f"{finding.severity}: {finding.where}: {finding.message}{names} [{finding.code}]")


def dump(document: Any) -> str:
    """A document as YAML."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))


def _check(option: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise InvalidInput(InvalidField("command line", option, value, f"one of {', '.join(known)}"))


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        seen = data[error.start : error.start + 8].decode(errors="backslashreplace")
        raise InvalidInput(InvalidField(f"{name}:{line}", "file", seen, "UTF-8 text")) from error


def _save(content: str, output: str) -> None:
    try:
        Path(output).write_text(content, encoding="utf-8")
    except OSError as error:
        wanted = f"a file that can be written ({error.strerror})"
        raise InvalidInput(InvalidField("command line", "-o", output, wanted)) from error
