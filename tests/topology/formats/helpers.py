"""Small clusters and mutations that the tests of all formats share."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.topology.formats.breaking import consistent
from topology.detect import detect
from topology.reading import InvalidSource, Reading
from topology.synthetic import SyntheticNode, hgx, mixed, nvl72, uneven


def reading_of(nodes: Iterable[SyntheticNode]) -> Reading:
    """What the labels of synthetic nodes say, by the detection that the service uses."""
    nodes = list(nodes)
    spec = detect(node.labels for node in nodes)
    keys = {level.name: level.label for level in (*spec.levels, *spec.partitions)}
    return Reading(
        "synthetic",
        tuple(level.name for level in spec.levels),
        tuple(level.name for level in spec.partitions),
        {
            node.name: {name: node.labels[key] for name, key in keys.items() if node.labels.get(key)}
            for node in nodes
        },
    )


def only(reading: Reading, *names: str) -> Reading:
    """The reading with these levels and partitions alone, and the nodes that have any of them."""
    nodes = {
        node: {name: path[name] for name in names if name in path} for node, path in reading.nodes.items()
    }
    used = {name for path in nodes.values() for name in path}
    return Reading(
        reading.source,
        tuple(name for name in reading.levels if name in used),
        tuple(name for name in reading.partitions if name in used),
        {node: path for node, path in nodes.items() if path},
    )


def same(one: Reading, other: Reading) -> bool:
    """Equal in all but the source and the findings."""
    return (one.levels, set(one.partitions), dict(one.nodes)) == (
        other.levels, set(other.partitions), dict(other.nodes),
    )  # fmt: skip


whole_fabrics = st.one_of(
    st.builds(nvl72, st.integers(1, 6), racks_per_spine=st.integers(1, 3), nodes_per_rack=st.integers(1, 18)),
    st.builds(hgx, st.integers(1, 3), st.integers(1, 3), st.integers(1, 6)),
    st.just(mixed()),
    st.builds(uneven, st.integers(0, 50), missing_share=st.just(0.0)),
).map(reading_of)
"""Readings of synthetic clusters whose nodes have all switch labels."""

holed_fabrics = st.builds(uneven, st.integers(0, 50), missing_share=st.just(0.3)).map(reading_of)
"""Readings of synthetic clusters of which a third of the nodes lack a label."""


def mutated(text: str, seed: int) -> str:
    """The text with a few characters cut, doubled, swapped or replaced."""
    draw = random.Random(seed)
    signs = list(text)
    for _ in range(draw.randint(1, 6)):
        if not signs:
            break
        at, span = draw.randrange(len(signs)), draw.choice((1, 1, 2, 8, 40))
        match draw.randrange(5):
            case 0:
                del signs[at : at + span]
            case 1:
                signs[at:at] = signs[at : at + span]
            case 2:
                signs[at] = draw.choice("[]{}(),=:-#\\\"'<>& \n\t\0é9aZ")
            case 3:
                del signs[at:]
            case _:
                other = draw.randrange(len(signs))
                signs[at], signs[other] = signs[other], signs[at]
    return "".join(signs)


ODD = (None, True, -1, 10**30, 1.5, float("nan"), "", "x" * 64, "n[1-3]", "a b", "\0", [], {}, [[]], {"a": 1})


def mutated_value(value: Any, seed: int) -> Any:
    """A parsed document with one value, somewhere inside, replaced or left out."""
    draw = random.Random(seed)

    def change(one: Any, depth: int) -> Any:
        if depth == 0 or not isinstance(one, dict | list) or not one:
            return draw.choice(ODD)
        if isinstance(one, dict):
            key = draw.choice(list(one))
            rest = {name: inner for name, inner in one.items() if name != key}
            if draw.random() < 0.2:
                return rest
            return {**rest, (draw.choice((key, key, key, 7, ""))): change(one[key], depth - 1)}
        at = draw.randrange(len(one))
        if draw.random() < 0.2:
            return [*one, one[at]]
        return [*one[:at], change(one[at], depth - 1), *one[at + 1 :]]

    for _ in range(draw.randint(1, 3)):
        value = change(value, draw.randint(0, 8))
    return value


def survives(read: Callable[[Any], Reading], broken: Any) -> bool:
    """True when the reader took it; False when it said what is wrong; any other exception comes through."""
    try:
        found = read(broken)
    except InvalidSource as error:
        assert str(error)
        return False
    consistent(found)
    return True


def codes(found: Reading) -> list[str]:
    """The codes of all findings, in order."""
    return [finding.code for finding in found.findings]


def fuzz_texts(samples: Sequence[str], read: Callable[[str], Reading], *, rounds: int) -> tuple[int, int]:
    """How many broken texts were taken and refused."""
    taken = sum(survives(read, mutated(samples[seed % len(samples)], seed)) for seed in range(rounds))
    return taken, rounds - taken


def fuzz_values(samples: Sequence[Any], read: Callable[[Any], Reading], *, rounds: int) -> tuple[int, int]:
    """How many broken documents were taken and refused."""
    taken = sum(survives(read, mutated_value(samples[seed % len(samples)], seed)) for seed in range(rounds))
    return taken, rounds - taken
