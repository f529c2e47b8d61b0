"""GraphML, ours and that of others."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topology.formats.helpers import codes, fuzz_texts, holed_fabrics, reading_of, same, whole_fabrics
from topology.formats import graphml
from topology.reading import InvalidSource, Reading, fabric_of
from topology.synthetic import mixed

SMALL = Reading(
    "x",
    ("spine", "leaf"),
    ("nvlink",),
    {
        "n1": {"spine": "a", "leaf": "1", "nvlink": "v"},
        "n2": {"spine": "b", "leaf": "1", "nvlink": "v"},
        "n3": {"spine": "b"},
        "n4": {},
    },
)


def text_of(reading: Reading) -> str:
    written = graphml.write(reading).document
    assert isinstance(written, str)
    return written


def drawn(*edges: tuple[str, str]) -> str:
    return "\n".join(nx.generate_graphml(nx.DiGraph(edges)))


@given(st.one_of(whole_fabrics, holed_fabrics))
@settings(max_examples=40, deadline=None)
def test_round_trip_of_everything(reading: Reading) -> None:
    again = graphml.read(text_of(reading))
    assert same(again, reading)
    assert again.findings == ()


def test_equal_names_below_two_spines_and_nodes_without_any_level() -> None:
    assert same(graphml.read(text_of(SMALL)), SMALL)


def test_the_graph_is_the_one_that_the_fabric_holds() -> None:
    reading = reading_of(mixed())
    graph, fabric = nx.parse_graphml(text_of(reading)), fabric_of(reading).graph
    assert (len(graph), graph.size()) == (len(fabric), fabric.size())
    kinds = sorted(marks["kind"] for _, marks in graph.nodes(data=True))
    assert kinds == sorted(marks["kind"] for _, marks in fabric.nodes(data=True))


def test_a_graph_from_elsewhere() -> None:
    found = graphml.read(drawn(("core", "l1"), ("core", "l2"), ("l1", "n1"), ("l1", "n2"), ("l2", "n3")))
    assert found.levels == ("spine", "leaf")
    assert found.nodes["n3"] == {"leaf": "l2", "spine": "core"}
    assert found.findings == ()


@pytest.mark.parametrize(
    ("edges", "code"),
    [
        ([("a", "b"), ("b", "a"), ("a", "n")], "Cycle"),
        ([("a", "l"), ("b", "l"), ("l", "n")], "TwoParents"),
        ([("a", "n"), ("b", "n")], "NodeTwice"),
    ],
)
def test_contradictions(edges: list[tuple[str, str]], code: str) -> None:
    assert code in codes(graphml.read(drawn(*edges)))


def test_a_node_in_two_domains_of_a_partition() -> None:
    reading = Reading("x", (), ("nvlink",), {"n1": {"nvlink": "v"}, "n2": {"nvlink": "w"}})
    doubled = text_of(reading).replace(
        "</graph>", '<edge source="partition:nvlink:w" target="node:n1"/></graph>'
    )
    found = graphml.read(doubled)
    assert [(one.code, one.names) for one in found.findings] == [("NodeTwice", ("n1", "v", "w"))]
    assert found.nodes["n1"] == {"nvlink": "v"}


BOMB = """<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>
<graphml>&b;</graphml>"""


@pytest.mark.parametrize(
    "text",
    [
        "", "<graphml>", "<graphml/>", "<html></html>", BOMB, text_of(SMALL)[:400],
        "\n".join(nx.generate_graphml(nx.Graph([("a", "b")]))),
        text_of(SMALL).replace('["spine", "leaf"]', '["spine", "spine"]'),
        text_of(SMALL).replace('["spine", "leaf"]', "spine"),
        text_of(SMALL).replace(">leaf<", ">rack<"),
        text_of(SMALL).replace(">n3<", ">n2<"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(text: str) -> None:
    with pytest.raises(InvalidSource, match=r"f: |f vertex"):
        graphml.read(text, name="f")


def test_a_name_that_xml_cannot_hold() -> None:
    with pytest.raises(InvalidSource):
        graphml.write(Reading("x", ("leaf",), (), {"n1": {"leaf": "a\0"}}))


def test_broken_texts_never_crash() -> None:
    other = drawn(("core", "l1"), ("core", "l2"), ("l1", "n1"), ("l2", "n3"))
    assert min(fuzz_texts([text_of(SMALL), other], graphml.read, rounds=1500)) > 50
