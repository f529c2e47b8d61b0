"""Documents and messages say the same, and every word has its enum value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.messages import enum_name, message_of
from tests.rpc.documents import WORDS, document_of


@pytest.mark.parametrize("enum", WORDS)
def test_every_word_has_its_value_and_every_value_its_word(enum: str) -> None:
    values = [value.name for value in pb.DESCRIPTOR.enum_types_by_name[enum].values]
    assert values[0].endswith("_UNSPECIFIED")
    assert values[1:] == [enum_name(enum, word) for word in WORDS[enum]]


def test_no_enum_is_without_a_table() -> None:
    assert set(WORDS) == set(pb.DESCRIPTOR.enum_types_by_name)


def test_what_the_api_does_not_know_yet_is_left_out() -> None:
    decision = message_of(pb.Decision, {"gang": "a/b", "verdict": "perhaps", "colour": "red"})
    assert decision == pb.Decision(gang="a/b", verdict=pb.VERDICT_UNSPECIFIED)


def test_none_is_absent_and_zero_is_not() -> None:
    member = message_of(pb.Member, {"pod": "a/b", "node": None, "bound": False, "rank": 0})
    assert (member.HasField("node"), member.HasField("rank")) == (False, True)


def test_half_a_surrogate_pair_is_sent_as_a_question_mark() -> None:
    fix = message_of(pb.Fix, {"change": "x\ud800", "kind": "wait", "detail": {"a\udc00": ["\ud800", 1]}})
    assert (fix.change, dict(fix.detail)["a?"][0]) == ("x?", "?")


def a(*words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words)


NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
COUNT = st.integers(0, 2**31 - 1)
LARGE = st.integers(0, 2**53)
TERM = st.fixed_dictionaries({"term": NAME, "value": LARGE, "bound": LARGE})
DETAIL = st.dictionaries(NAME, NAME | st.integers(-(2**53), 2**53) | st.lists(NAME, max_size=3), max_size=3)
SIZES = dict.fromkeys(("tp", "pp", "dp", "ep"), COUNT)
SOURCES = st.dictionaries(NAME, NAME, max_size=3)
GROUP = {"name": NAME, "pods": COUNT}
ROLE = {**GROUP, **SIZES, "sources": SOURCES}
SHAPE = st.fixed_dictionaries(
    {
        "pods": COUNT,
        "gpus": LARGE,
        "groups": st.lists(st.fixed_dictionaries(GROUP) | st.fixed_dictionaries(ROLE), max_size=3),
        "sources": SOURCES,
    },
    optional=SIZES,
)
COMMON = {
    "gang": NAME,
    "source": NAME,
    "shape": SHAPE,
    "notes": st.lists(NAME, max_size=2),
    "time_ms": st.floats(0, 1e9),
}
PLACED = st.fixed_dictionaries(
    {
        **COMMON,
        "verdict": a("placed"),
        "proof": a("optimal", "gap", "timed_out"),
        "pods": st.lists(
            st.fixed_dictionaries(
                {
                    "pod": NAME,
                    "node": NAME,
                    "rank": COUNT,
                    "group": NAME,
                    "domains": st.dictionaries(NAME, NAME, max_size=3),
                }
            ),
            max_size=3,
        ),
        "levels": st.dictionaries(NAME, st.fixed_dictionaries({"used": COUNT, "least": COUNT}), max_size=3),
        "objective": st.lists(TERM, max_size=3),
        "method": NAME,
    }
)
REFUSED = st.fixed_dictionaries(
    {
        **COMMON,
        "verdict": a("blocked", "impossible"),
        "proof": a("proven", "timed_out"),
        "reason": st.fixed_dictionaries(
            {
                "code": a(*WORDS["ReasonCode"]),
                "message": NAME,
                "level": NAME,
                "needed": COUNT,
                "best": COUNT,
                "blocking": st.lists(
                    st.fixed_dictionaries({"kind": a(*WORDS["BlockingKind"]), "name": NAME, "fact": NAME}),
                    max_size=2,
                ),
                "fixes": st.lists(
                    st.fixed_dictionaries(
                        {
                            "change": NAME,
                            "kind": a(*WORDS["FixKind"]),
                            "detail": DETAIL,
                            "verified": st.booleans(),
                        }
                    ),
                    max_size=2,
                ),
            }
        ),
    }
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "schema": NAME,
            "snapshot": st.fixed_dictionaries(dict.fromkeys(("nodes", "ready", "gpus", "free_gpus"), LARGE)),
            "gangs": st.lists(PLACED | REFUSED, max_size=3),
        },
        optional={
            "batch": st.fixed_dictionaries(
                {"proof": a(*WORDS["Proof"]), "objective": st.lists(TERM, max_size=2)}
            )
        },
    )
)
def test_a_plan_survives_the_wire(document: dict[str, object]) -> None:
    sent = message_of(pb.PlanResponse, document).SerializeToString()
    assert document_of(pb.PlanResponse.FromString(sent)) == document
