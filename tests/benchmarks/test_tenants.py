"""Fair shares, Jain's index, inversions, waste, locality and warm-up, each on a case for paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulate.clusters import cluster
from benchmarks.simulate.communication import local_share, replica_spread
from benchmarks.simulate.run import Options, prepare
from benchmarks.simulate.tenants import fair, jain

HEAD = "id,submit_s,duration_s,pods,gpus_per_pod,tenant,priority\n"


def figures(folder: Path, rows: str, **options: Any) -> dict[str, Any]:
    trace = folder / "trace.csv"
    trace.write_text(HEAD + rows)
    simulation = prepare(Options(str(trace), "plain", **{"cluster": "hgx:1x2x2", **options}))
    simulation.run()
    summary: dict[str, Any] = simulation.document()["summary"]
    return summary


def test_fair_shares_by_hand() -> None:
    demand, weight = np.array([2.0, 8.0, 30.0]), np.ones(3)
    assert fair(demand, weight, 100).tolist() == [2, 8, 30]
    assert fair(demand, weight, 20).tolist() == [2, 8, 10]
    assert fair(demand, np.array([1.0, 1.0, 3.0]), 10).tolist() == [2, 2, 6]


@given(
    asked=st.lists(st.integers(0, 50), min_size=1, max_size=8),
    capacity=st.integers(0, 100),
    weights=st.lists(st.integers(1, 5), min_size=8, max_size=8),
)
def test_nobody_below_its_demand_has_less_than_another_by_weight(
    asked: list[int], capacity: int, weights: list[int]
) -> None:
    demand, weight = np.array(asked, dtype=np.float64), np.array(weights[: len(asked)], dtype=np.float64)
    share = fair(demand, weight, capacity)
    assert (share <= demand + 1e-9).all()
    assert share.sum() == pytest.approx(min(capacity, demand.sum()))
    level = share / weight
    short = share < demand - 1e-9
    assert all(level[at] >= level.max(initial=0) - 1e-9 for at in np.flatnonzero(short))


def test_jain_by_hand() -> None:
    assert jain(np.array([1.0, 1.0, 1.0])) == pytest.approx(1)
    assert jain(np.array([1.0, 0.0])) == pytest.approx(0.5)


def test_a_tenant_that_waits_behind_another(tmp_path: Path) -> None:
    """a has all 32 GPUs for 100 s while b waits for 16; then b has what it asks for, for 100 s."""
    found = figures(tmp_path, "x,0,100,4,8,a,0\ny,0,100,2,8,b,0\n")["tenants"]
    a, b = found["each"]["a"], found["each"]["b"]
    assert a["received_gpu_h"] == pytest.approx(32 * 100 / 3600, rel=0.02)
    assert a["entitled_gpu_h"] == pytest.approx(16 * 100 / 3600, rel=0.02)
    assert b["entitled_gpu_h"] == pytest.approx(16 * 200 / 3600, rel=0.02)
    assert found["jain"] == pytest.approx((2 + 0.5) ** 2 / (2 * (4 + 0.25)), rel=0.02)
    assert found["most_under_served"] == pytest.approx(0.5, rel=0.02)
    weighed = figures(tmp_path, "x,0,100,4,8,a,0\ny,0,100,2,8,b,0\n", quotas=(("a", 3.0),))["tenants"]
    assert weighed["each"]["a"]["entitled_gpu_h"] == pytest.approx(24 * 100 / 3600, rel=0.02)
    assert figures(tmp_path, "x,0,9,1,8,a,0\n")["tenants"] == {}


def test_a_start_past_a_waiting_job_of_higher_priority(tmp_path: Path) -> None:
    rows = "x,0,100,3,8,a,0\ny,1,10,4,8,a,5\nz,2,10,1,8,a,0\n"
    assert figures(tmp_path, rows)["priority_inversions"] == 0
    assert figures(tmp_path, rows, queue="backfill")["priority_inversions"] == 1


def test_waste_by_hand(tmp_path: Path) -> None:
    """nvl72:1 has 18 trays of 4 GPUs: 72 are 8 left over for 64; without one tray 68 are 4 for 8 and 32."""
    names = [str(node.name) for node in cluster("nvl72:1").nodes]
    assert len(names) == 18
    failures = tmp_path / "f.csv"
    failures.write_text(f"time_s,node,event\n0,{names[17]},down\n50,{names[17]},up\n")
    found = figures(tmp_path, "x,0,100,1,4,a,0\n", cluster="nvl72:1", failures=str(failures))
    waste = found["failures"]["waste"]
    assert waste["8"] == pytest.approx(0.5 * 4 / 72, abs=1e-6)
    assert waste["16"] == pytest.approx((4 * 50 + 8 * 50) / 100 / 72, abs=1e-6)
    assert waste["64"] == pytest.approx((4 * 50 + 8 * 50) / 100 / 72, abs=1e-6)


def test_kv_bytes_that_stay_inside() -> None:
    """Ranks 0 and 1 do prefill. In domain 0: one of them and one of the three that decode; in 1 the rest."""
    assert local_share(np.array([0, 1, 0, 1, 1], dtype=np.int32), 2) == pytest.approx((1 + 2) / 6)


def test_locality_is_in_the_figures_where_it_is_asked_for(tmp_path: Path) -> None:
    rows = "x,0,100,2,8,a,0\ny,0,100,2,8,a,0\n"
    local = figures(tmp_path, rows, prefill=0.5)["communication"]["kv_local"]
    assert local["leaf"] == 1.0, "two nodes of one leaf each"
    assert figures(tmp_path, rows)["communication"]["kv_local"] == {}


def test_warm_up_is_in_no_figure(tmp_path: Path) -> None:
    rows = "x,0,100,4,8,a,0\ny,50,100,4,8,a,0\n"
    found = figures(tmp_path, rows, warmup_s=20.0)
    assert (found["jobs"]["submitted"], found["jobs"]["before_warmup_ended"]) == (1, 1)
    assert found["allocation"]["span_s"] == 180
    assert found["waiting"]["all"]["wait_s"]["mean"] == 50
    assert found["allocation"]["queued_share"] == pytest.approx(50 / 180, abs=1e-6)


def test_replica_spread_by_hand() -> None:
    """Three replicas of two pods: two in domain 0, the third across 1 and 2; four domains there are."""
    replica, domain = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 2], dtype=np.int32)
    most, gini = replica_spread(replica, domain, domains=4)
    assert most == pytest.approx(2 / 3)
    assert gini == pytest.approx(1 / 6)  # of 2, 1, 1: gaps 4 over 2 x 3 x 4
    assert replica_spread(replica, np.zeros(6, dtype=np.int32), domains=4) == (1.0, pytest.approx(2 / 3))
    assert replica_spread(replica, domain * 0, domains=1) == (1.0, 0.0)


def test_replicas_are_spread_where_sizes_are_given(tmp_path: Path) -> None:
    """Two replicas of 16 GPUs on two leaves of two machines: one each, by the spread policy."""
    rows = "a,0,100,4,8,t,0\n"
    told = figures(tmp_path, rows, tensor=8, pipeline=2, policy="spread")["communication"]["replica_spread"]
    assert told["leaf"] == {"most": 0.5, "gini": 0.0}
    assert told["spine"] == {"most": 1.0, "gini": 0.0}
    assert figures(tmp_path, rows)["communication"]["replica_spread"] == {}
