"""`lockstep config check`."""

from __future__ import annotations

from scheduler.cli.exits import BAD_INPUT, YES
from scheduler.cli.output import Format, clean, emit
from scheduler.config import load_config
from scheduler.model import InvalidInput


def check(file: str, output: Format) -> int:
    """Say whether a configuration file is right; the exit code."""
    try:
        config = load_config(file)
    except InvalidInput as error:
        faults = [
            {"where": f.object, "field": f.field, "value": f.value, "wanted": f.wanted} for f in error.faults
        ]
        document = {"schema": "lockstep.config-check/v1", "valid": False, "faults": faults}
        lines = [clean(str(fault)) for fault in error.faults]
        emit(document, output, table=lambda _: print("\n".join(lines)), names=lambda: [file])
        return BAD_INPUT
    levels = config.levels.ordered() if config.levels else ()
    document = {
        "schema": "lockstep.config-check/v1",
        "valid": True,
        "levels": [{"name": level.name, "label": level.label} for level in levels],
    }
    told = ", ".join(level.name for level in levels) or "detected from node labels"
    emit(
        document, output, table=lambda _: print(clean(f"{file}: valid; levels: {told}")), names=lambda: [file]
    )
    return YES
