"""Several sources as one: precedence and contradictions."""

from __future__ import annotations

from hypothesis import given, settings

from tests.topology.formats.helpers import holed_fabrics, only, same
from topology.merge import merge
from topology.reading import Reading

SWITCHES = Reading("slurm", ("spine", "leaf"), (), {"n1": {"spine": "s", "leaf": "a"}, "n2": {"leaf": "b"}})
LABELS = Reading(
    "labels",
    ("zone", "spine", "rack"),
    ("nvlink",),
    {
        "n1": {"zone": "z", "spine": "s", "rack": "r", "nvlink": "v"},
        "n2": {"zone": "z", "spine": "t", "rack": "r"},
        "n3": {"zone": "z", "spine": "t", "rack": "r2"},
    },
)


def test_what_one_source_lacks_another_gives() -> None:
    merged = merge([SWITCHES, LABELS])
    assert (merged.source, merged.levels, merged.partitions) == (
        "slurm+labels", ("zone", "spine", "leaf", "rack"), ("nvlink",),
    )  # fmt: skip
    assert merged.nodes["n1"] == {"zone": "z", "spine": "s", "leaf": "a", "rack": "r", "nvlink": "v"}
    assert merged.nodes["n2"] == {"zone": "z", "spine": "t", "leaf": "b", "rack": "r"}
    (missing,) = merged.findings
    assert (missing.code, missing.where, missing.names) == ("NodesNotInSource", "slurm", ("n3",))


def test_the_earlier_source_counts_and_the_other_is_told() -> None:
    other = Reading("labels", ("leaf",), (), {"n1": {"leaf": "x"}, "n2": {"leaf": "y"}})
    for first, second in ((SWITCHES, other), (other, SWITCHES)):
        merged = merge([first, second])
        assert merged.nodes["n1"]["leaf"] == first.nodes["n1"]["leaf"]
        (finding,) = merged.findings
        assert (finding.code, finding.severity, finding.names) == ("SourcesDisagree", "error", ("n1", "n2"))
        assert first.source in finding.message
        assert second.source in finding.message


def test_what_any_source_holds_apart_stays_a_partition() -> None:
    nested = Reading("a", ("leaf", "rack"), (), {"n1": {"leaf": "l", "rack": "r"}})
    apart = Reading("b", ("leaf",), ("rack",), {"n1": {"leaf": "l", "rack": "r"}})
    merged = merge([nested, apart])
    assert (merged.levels, merged.partitions) == (("leaf",), ("rack",))


@given(holed_fabrics)
@settings(max_examples=20, deadline=None)
def test_the_parts_of_a_reading_add_up_to_it(reading: Reading) -> None:
    whole = only(reading, *reading.levels)
    parts = [only(reading, level) for level in reversed(reading.levels)]
    merged = merge(parts)
    assert same(merged, whole)
    assert not [one for one in merged.findings if one.severity == "error"]
    assert merge([whole]) is whole
    assert same(merge([whole, whole]), whole)
