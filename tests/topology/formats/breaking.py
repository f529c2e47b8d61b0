"""Random damage to texts, and what every reader owes whatever it is given."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

from topology.reading import InvalidSource, Reading, natural


def damaged(text: str, seed: int) -> str:
    """The text with some lines cut, doubled or moved, and some characters flipped."""
    draw = random.Random(seed)
    lines = text.split("\n")
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(lines))
        match draw.randrange(7):
            case 0:
                del lines[at : at + draw.choice((1, 1, 5, 50))]
            case 1:
                lines[at:at] = lines[at : at + draw.choice((1, 3, 20))]
            case 2:
                lines[at] = _flipped(lines[at], draw)
            case 3:
                lines[at] = lines[at][: draw.randrange(len(lines[at]) + 1)]
            case 4:
                del lines[at + 1 :]
            case 5:
                other = draw.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines[at] += draw.choice(("\r", " ", "é", "\ufeff", "\u2028", "\x0b", '"', "#"))
        lines = lines or [""]
    return "\n".join(lines)


def _flipped(line: str, draw: random.Random) -> str:
    raw = bytearray(line.encode("utf-8", "surrogateescape"))
    for _ in range(draw.randint(1, 4)):
        if raw:
            raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    return raw.decode("utf-8", "replace")


def damaged_json(text: str, seed: int) -> str:
    """A JSON text with one value inside replaced, doubled or left out; broken as text now and then."""
    draw = random.Random(seed)
    if draw.random() < 0.2:
        return damaged(text, seed)
    document = json.loads(text)
    for _ in range(draw.randint(1, 4)):
        document = _changed(document, draw, draw.randint(0, 7))
    return json.dumps(document)


def _changed(value: object, draw: random.Random, depth: int) -> object:
    if depth and isinstance(value, dict) and value:
        key = draw.choice(list(value))
        rest = {name: one for name, one in value.items() if name != key}
        return rest if draw.random() < 0.2 else {**rest, key: _changed(value[key], draw, depth - 1)}
    if depth and isinstance(value, list) and value:
        at = draw.randrange(len(value))
        if draw.random() < 0.2:
            return [*value, value[at]]
        return [*value[:at], _changed(value[at], draw, depth - 1), *value[at + 1 :]]
    return draw.choice(
        (None, True, -1, 10**40, 1.5, float("nan"), "", "x" * 300, "a b", "\0", [], {}, [[]], {"a": 1})
    )


def consistent(found: Reading) -> None:
    """A reading is whole: levels differ, paths use only them, every finding has a code and a place."""
    names = (*found.levels, *found.partitions)
    assert len(set(names)) == len(names)
    for node, path in found.nodes.items():
        assert isinstance(node, str)
        assert node
        assert set(path) <= set(names)
        assert all(isinstance(value, str) and value for value in path.values())
    for finding in found.findings:
        assert finding.severity in ("error", "warning", "note")
        assert finding.code.isidentifier()
        assert finding.where
        assert finding.message
        assert finding.names == natural(finding.names)


def survive(
    samples: Sequence[str],
    read: Callable[[str], Reading],
    *,
    rounds: int,
    damage: Callable[[str, int], str] = damaged,
) -> tuple[int, int]:
    """How many damaged texts were read and how many refused; any other exception comes through."""
    taken = 0
    for seed in range(rounds):
        try:
            found = read(damage(samples[seed % len(samples)], seed))
        except InvalidSource as error:
            assert str(error)
            continue
        consistent(found)
        taken += 1
    return taken, rounds - taken
