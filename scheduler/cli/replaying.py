"""`lockstep replay`: a recorded decision, decided again by this version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scheduler.cli.exits import OUR_ERROR, YES
from scheduler.cli.output import Format, clean, emit
from scheduler.decide import decided
from scheduler.model import InvalidField, InvalidInput
from scheduler.recorder import outcome_of, read


def replay(file: str, *, output: Format) -> int:
    """Tell whether the answer is the same; the exit code. Raises InvalidInput."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(InvalidField(file, "file", file, f"a file that can be read ({error})")) from error
    problems, limits, recorded = read(file, text)
    # Through JSON, as the record went: what then differs is the decision.
    again = json.loads(json.dumps(outcome_of(decided(problems, limits))))
    differences = _differences(recorded, again)
    document = {
        "schema": "lockstep.replay/v1",
        "same": not differences,
        "gangs": [problem.gang for problem in problems],
        "differences": differences,
        "recorded": recorded,
        "again": again,
    }
    told = [f"{len(problems)} gangs decided again: {'another answer' if differences else 'the same answer'}"]
    emit(
        document,
        output,
        table=lambda _: print("\n".join(map(clean, [*told, *differences]))),
        names=lambda: [problem.gang for problem in problems],
    )
    return OUR_ERROR if differences else YES


def _differences(recorded: dict[str, Any], again: dict[str, Any]) -> list[str]:
    found = [
        f"gang {at + 1}: {key} was {old.get(key)!r}, is {new.get(key)!r}"
        for at, (old, new) in enumerate(zip(recorded["answers"], again["answers"], strict=False))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if len(recorded["answers"]) != len(again["answers"]):
        found.append(f"{len(recorded['answers'])} answers were given, {len(again['answers'])} are")
    return found + [f"{key} differs" for key in ("order", "terms") if recorded[key] != again[key]]
