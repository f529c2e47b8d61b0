"""`lockstep config check`."""

from __future__ import annotations

from typing import Any

from scheduler.cli.exits import BAD_INPUT, YES
from scheduler.cli.output import Format, clean, columns, emit
from scheduler.config import load_config
from scheduler.model import InvalidInput
from scheduler.rights import named, needed

Document = dict[str, Any]


def check(file: str, output: Format) -> int:
    """Say whether a configuration file is right; the exit code."""
    try:
        config = load_config(file)
    except InvalidInput as error:
        faults = [
            {"where": f.object, "field": f.field, "value": f.value, "wanted": f.wanted} for f in error.faults
        ]
        wrong = {"schema": "lockstep.config-check/v1", "valid": False, "faults": faults}
        lines = [clean(str(fault)) for fault in error.faults]
        emit(wrong, output, table=lambda _: print("\n".join(lines)), names=lambda: [file])
        return BAD_INPUT
    levels = config.levels.ordered() if config.levels else ()
    document: Document = {
        "schema": "lockstep.config-check/v1",
        "valid": True,
        "levels": [{"name": level.name, "label": level.label} for level in levels],
        "sources": [str(entry) for entry in config.sources],
        "kinds": [
            {"kind": kind.kind, "group": kind.group, "versions": list(kind.versions), "family": kind.family}
            for kind in sorted(config.kinds, key=lambda kind: (kind.group, kind.kind))
        ],
        "rights": [
            {"right": named(need.act), "essential": need.essential, "without": need.why}
            for need in needed(config)
        ],
    }
    emit(document, output, table=lambda _: _told(file, document), names=lambda: [file])
    return YES


def _told(file: str, document: Document) -> None:
    """What follows from a valid file: levels, sources, kinds by family, and the rights it needs."""
    levels = ", ".join(level["name"] for level in document["levels"]) or "detected from node labels"
    print(clean(f"{file}: valid; levels: {levels}"))
    if document["sources"]:
        print(clean(f"sources, the first first: {', '.join(document['sources'])}"))
    families: dict[str, list[str]] = {}
    for kind in document["kinds"]:
        families.setdefault(kind["family"], []).append(kind["kind"])
    print(f"kinds that are read: {len(document['kinds'])}")
    for family, kinds in sorted(families.items()):
        print(clean(f"  {family}: {', '.join(kinds)}"))
    verbs: dict[tuple[str, bool, str], list[str]] = {}
    for one in document["rights"]:
        verb, _, what = one["right"].partition(" ")
        verbs.setdefault((what, one["essential"], one["without"]), []).append(verb.strip("`"))
    print(f"rights that are needed: {len(document['rights'])}")
    rows = [
        [" ".join(found), what, "essential" if essential else "-", why]
        for (what, essential, why), found in verbs.items()
    ]
    columns(["VERBS", "RESOURCE", "ESSENTIAL", "WITHOUT"], rows)
