"""`lockstep topology import`: the fabric from one format into another."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scheduler.cli import applying
from scheduler.cli.exits import BAD_INPUT, YES
from scheduler.cli.output import clean, complain
from scheduler.fabrics import Known, hosts_of, name_map_of, read_files
from scheduler.kube.client import NoAccess, Unclear, load_access
from scheduler.model import InvalidField, InvalidInput
from topology.formats import table
from topology.formats.table import WRITERS
from topology.reading import ERROR, Finding
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


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of an import beside the formats.

    `hosts` and `name_map` as given on the command line. With `apply` the labels
    go to the cluster, once they were shown: with `yes` at once, with `force`
    even if the source contradicts itself.
    """

    hosts: str | None = None
    name_map: str | None = None
    apply: bool = False
    yes: bool = False
    force: bool = False
    kubeconfig: str | None = None
    context: str | None = None
    user: str | None = None


def convert(
    files: Sequence[str], *, source: str | None, target: str, output: str | None, ask: Ask = Ask()
) -> int:
    """Read the files as one fabric and write it; findings go to standard error. The exit code."""
    check("--to", target, tuple(WRITERS))
    check("--from", source, table.names())
    if ask.apply and (target != "labels" or output is not None):
        given = f"--to {target}" if target != "labels" else f"-o {output}"
        raise InvalidInput(InvalidField("command line", "--apply", given, "--to labels, and no -o"))
    try:
        return _apply(files, source, ask) if ask.apply else _convert(files, source, target, output, ask)
    except InvalidTopology as error:
        complain(clean(str(error)))
        return BAD_INPUT


def _convert(files: Sequence[str], source: str | None, target: str, output: str | None, ask: Ask) -> int:
    reading, _ = read_files(files, source=source, known=_known(ask))
    written = WRITERS[target](reading)
    findings = (*reading.findings, *written.findings)
    tell(findings)
    document = written.document
    content = document if isinstance(document, str) else dump(document)
    if output is None:
        print(content, end="")
    else:
        _save(content, output)
        print(f"{len(reading.nodes)} nodes written to {output} as {target}", file=sys.stderr)
    return BAD_INPUT if _contradicts(findings) else YES


def _apply(files: Sequence[str], source: str | None, ask: Ask) -> int:
    """The labels on the cluster's nodes: shown, and written where that was agreed to."""
    try:
        access = load_access(kubeconfig=ask.kubeconfig, context=ask.context, user=ask.user)
        present = applying.cluster_labels(access)
    except (NoAccess, Unclear) as error:
        wanted = "a cluster that answers"
        raise InvalidInput(InvalidField("cluster", "kubeconfig", str(error), wanted)) from error
    reading, _ = read_files(files, source=source, known=_known(ask, nodes=present))
    findings = (*reading.findings, *WRITERS["labels"](reading).findings)
    tell(findings)
    found = applying.changes(reading, present)
    applying.show(found, reading, present)
    wrong = _contradicts(findings)
    if wrong and not ask.force:
        complain("the source contradicts itself, so nothing is written; --force writes what is left of it")
        return BAD_INPUT
    if not ask.yes:
        print("nothing is written; --yes writes this" if found else "nothing to write")
        return BAD_INPUT if wrong else YES
    code = applying.apply(found, access)
    return code or (BAD_INPUT if wrong else YES)


def _known(ask: Ask, *, nodes: Iterable[str] | None = None) -> Known:
    hosts = frozenset(nodes) if nodes is not None else None
    if ask.hosts is not None:
        hosts = hosts_of(ask.hosts) if hosts is None else hosts & hosts_of(ask.hosts)
    return Known(hosts, None if ask.name_map is None else name_map_of(ask.name_map))


def _contradicts(findings: Iterable[Finding]) -> bool:
    return any(one.severity == ERROR for one in findings)


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


def check(option: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise InvalidInput(InvalidField("command line", option, value, f"one of {', '.join(known)}"))


def _save(content: str, output: str) -> None:
    try:
        Path(output).write_text(content, encoding="utf-8")
    except OSError as error:
        wanted = f"a file that can be written ({error.strerror})"
        raise InvalidInput(InvalidField("command line", "-o", output, wanted)) from error
