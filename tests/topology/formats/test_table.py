"""All formats together: recognised by content, and converted into each other."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topology.formats.helpers import only, whole_fabrics
from topology.formats import table
from topology.formats.outline import Written
from topology.reading import InvalidSource, Reading

SOURCES = {"labels": "labels", "kueue": "kueue", "kai": "kai", "hypernode": "hypernode", "slurm": "slurm",
           "topograph": "topograph", "graphml": "graphml"}  # fmt: skip
HELD = {"labels": ("spine", "leaf", "rack", "nvlink"), "kueue": ("spine", "leaf", "rack", "nvlink"),
        "kai": ("spine", "leaf", "rack", "nvlink"), "hypernode": ("spine", "leaf", "rack"),
        "slurm": ("spine", "leaf", "nvlink"), "topograph": ("spine", "leaf", "nvlink"),
        "graphml": ("spine", "leaf", "rack", "nvlink")}  # fmt: skip
"""What of spine, leaf, rack and NVLink domain each format holds of any fabric."""


def read(written: Written, *, stated: str | None = None) -> Reading:
    """The way of the command: text formats by their look, else parsed documents."""
    document = written.document
    if isinstance(document, str):
        form = table.text_format(document, stated=stated)
        assert form is not None
        return form.read(document)
    copied: Any = json.loads(json.dumps(document))  # nothing that YAML and JSON could not hold
    return table.read_documents(copied if isinstance(copied, list) else [copied], name="f", stated=stated)


@given(whole_fabrics, st.sampled_from(sorted(product(HELD, HELD))))
@settings(max_examples=150, deadline=None)
def test_from_any_format_into_any_other_and_back(reading: Reading, pair: tuple[str, str]) -> None:
    first, second = pair
    kept = set(HELD[first]) & set(HELD[second])
    part = only(reading, *kept)
    once = read(table.WRITERS[first](part))
    assert once.source == SOURCES[first]
    twice = read(table.WRITERS[second](once), stated=second)
    assert {node: path for node, path in twice.nodes.items() if path} == part.nodes
    assert {*twice.levels, *twice.partitions} == {*part.levels, *part.partitions}
    assert not [one for one in (*once.findings, *twice.findings) if one.severity == "error"]


def objects(*kinds: str) -> list[Any]:
    reading = Reading(
        "x", ("spine", "leaf"), (), {f"n{at}": {"spine": "s", "leaf": f"l{at}"} for at in range(3)}
    )
    return [table.WRITERS[kind](reading).document for kind in kinds]


def test_the_objects_of_several_schedulers_are_all_read() -> None:
    found = table.read_documents(objects("kueue", "hypernode"), name="dump", stated=None)
    assert (found.source, found.levels, found.findings) == ("kueue+hypernode", ("spine", "leaf"), ())
    odd = json.loads(json.dumps(objects("kueue", "hypernode")).replace('"name": "l2"', '"name": "other"'))
    told = table.read_documents(odd, name="dump", stated=None)
    assert [(one.code, one.names) for one in told.findings] == [("SourcesDisagree", ("n2",))]
    assert told.nodes["n2"]["leaf"] == "l2"


def test_items_of_a_typed_list_need_not_say_their_kind() -> None:
    items = [{"metadata": {"name": "n1", "labels": {"fabric.topograph.run/tier-0": "l"}}}]
    listed = {"kind": "NodeList", "apiVersion": "v1", "items": items}
    found = table.read_documents([listed], name="f", stated=None)
    assert found.nodes == {"n1": {"leaf": "l"}}


def test_every_writable_format_can_be_read() -> None:
    assert set(table.WRITERS) == set(HELD) <= set(table.names())


@pytest.mark.parametrize(
    "documents", [[], [None], ["text"], [{"kind": "Pod", "apiVersion": "v1"}], [{"a": 1}], [[]]]
)
def test_what_no_format_looks_like(documents: list[Any]) -> None:
    with pytest.raises(InvalidSource, match=r"one of the formats .* --from"):
        table.read_documents(documents, name="f", stated=None)


def test_a_stated_format_says_why_the_file_is_none() -> None:
    with pytest.raises(InvalidSource, match="objects of kind HyperNode"):
        table.read_documents([{"a": 1}], name="f", stated="hypernode")
    form = table.text_format("hello", stated="graphml")
    assert form is not None
    with pytest.raises(InvalidSource, match="GraphML"):
        form.read("hello", name="f")


def test_what_a_format_cannot_hold_is_told() -> None:
    reading = Reading("x", ("leaf", "rack"), ("power",), {"n1": {"leaf": "l", "rack": "r", "power": "p"}})
    lost_by = {"slurm": {"rack", "power"}, "topograph": {"rack", "power"}, "hypernode": {"power"},
               "labels": set[str](), "graphml": set[str]()}  # fmt: skip
    for name, lost in lost_by.items():
        told = [one for one in table.WRITERS[name](reading).findings if one.code == "LevelLeftOut"]
        assert {level for one in told for level in one.names} == lost, name
