"""Is it right? Many random small problems of every kind against brute force, with a count of each sort."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
_MODEL = "tests/placement/test_model.py::"
_TREE = "tests/placement/test_differential.py::"
_FAMILY = "tests/placement/test_families.py::"
_BATCH = "tests/placement/test_batch.py::"
_FLOWS = "tests/placement/test_jointly.py::"
KINDS = {
    "one shape on a tree": _TREE + "test_the_answer_is_the_brute_force_optimum",
    "any order of terms": _TREE + "test_any_order_of_terms_is_the_brute_force_optimum",
    "whole nodes": _TREE + "test_whole_nodes_are_the_brute_force_optimum",
    "everything else": _MODEL + "test_every_answer_is_the_brute_force_optimum",
    "pipelines that must hop": _MODEL + "test_pipelines_that_must_hop_are_the_brute_force_optimum",
    "unequal groups": _MODEL + "test_unequal_groups_are_the_brute_force_optimum",
    "parts inside the gang": _MODEL + "test_parts_with_wishes_of_their_own_are_the_brute_force_optimum",
    "parties that keep apart": _MODEL + "test_parties_that_keep_apart_are_the_brute_force_optimum",
    "expert-parallel groups": "tests/placement/test_experts.py::test_every_answer_is_the_brute_force_optimum",
    **{
        name.replace("_", " "): f"{_FAMILY}test_every_answer_of_a_family_is_the_brute_force_optimum[{name}]"
        for name in ("unlike_groups", "roles_in_one_rack", "odd_sizes", "lost_members", "crossing_levels")
    },
    "streams of gangs": _FAMILY + "test_every_gang_of_a_stream_has_the_best_of_what_is_left",
    "several shapes in one rack": "tests/placement/test_packing.py::test_it_is_the_optimum",
    "room made by moving": "tests/placement/test_defragment.py::test_against_brute_force",
    "batches of gangs": _BATCH + "test_batches_against_brute_force",
    "batches in the order of a queue": _BATCH + "test_in_order_nobody_gives_way_to_those_behind",
    "batches of one shape, as flows": _FLOWS + "test_the_flows_of_one_shape_are_the_optimum",
    "batches of multiples of one shape": _FLOWS + "test_the_flows_of_multiples_of_one_shape_are_the_optimum",
    "batches: the common bound": _FLOWS + "test_no_batch_is_better_than_the_common_bound",
    "everything at once": _MODEL + "test_everything_at_once_is_the_brute_force_optimum",
}


def run(instances: int, *, tell: Callable[[str], None]) -> tuple[list[str], bool]:
    """Lines of a report, and whether not one answer was wrong. Kinds whose instances are streams or batches
    take their own number of them, so what was compared is counted, not what was asked for."""
    lines, right, compared = [], True, 0
    for kind, test in KINDS.items():
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-s", test],
            cwd=ROOT,
            env={**os.environ, "LOCKSTEP_INSTANCES": str(instances)},
            capture_output=True,
            text=True,
            check=False,
        )
        counts = re.search(r"(\d+) feasible, (\d+) infeasible", done.stdout)
        number = sum(map(int, counts.groups())) if counts else 0
        compared += number
        right = right and done.returncode == 0 and number > 0
        told = counts.group() if counts else "?"
        verdict = "MISMATCH" if done.returncode or not number else "no mismatch"
        lines.append(
            f"- {kind}: {number:,} instances ({told}): {verdict}; {time.monotonic() - started:.0f} s"
        )
        tell(lines[-1])
        if done.returncode:
            tell(done.stdout[-3000:])
    lines.append(f"- in all: {compared:,} instances: {'no mismatch' if right else 'MISMATCH'}")
    tell(lines[-1])
    return lines, right
