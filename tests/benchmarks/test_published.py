"""The comparisons with publications, small: nobody takes more than is free, figures and pages are there."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.published import arnold, arnold_rivals, lingjun, openb, philly
from benchmarks.published.arnold import CASES, by_engine, occupied, scored
from benchmarks.published.arnold_rivals import RIVALS, Case
from benchmarks.simulate import fractional
from benchmarks.simulate.parallel import spread

SMALL = Case("small: 3 minipods, 24 nodes", 3, 24, 4, 3)


@pytest.mark.parametrize("seed", range(5))
def test_every_rival_takes_what_is_free_and_no_more(seed: int) -> None:
    taken = occupied(SMALL, seed)
    minipod = arnold_rivals.minipods_of(SMALL)
    free = np.bincount(minipod) - np.bincount(minipod[taken], minlength=3)
    for fill in RIVALS.values():
        units = fill(free, SMALL, random.Random(seed))
        assert [len(unit) for unit in units] == [3] * 4
        used = np.bincount([at for unit in units for at in unit], minlength=3)
        assert (used <= free).all()
    ours, proof = by_engine(SMALL, taken)
    assert (np.bincount(ours, minlength=3) <= free).all()
    assert proof in ("optimal", "gap", "timed_out")


def test_the_smallest_case_has_nothing_to_gain() -> None:
    """All 18 nodes are free: two minipods, whole pipelines, for everybody who packs."""
    found = scored(CASES[0], 0)
    assert all(found.ratio(at) == 1.0 for at in range(len(arnold.ALPHAS)))
    assert found.ours[-1] == 2.0


def table(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Every trace, of a few rows."""
    (tmp_path / "alibaba-openb-2023").mkdir()
    nodes = [[f"n{at}", 16000, 65536, 4 * (at < 6), "T4" if at < 6 else ""] for at in range(8)]
    table(
        tmp_path / "alibaba-openb-2023" / "nodes.csv",
        [["node", "cpu_milli", "memory_mib", "gpus", "gpu_model"], *nodes],
    )
    head = ["pod", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "create_s", "scheduled_s"]
    pods = []
    for at in range(40):
        gpus, share = (2, 1000) if at % 9 == 0 else (1, 100 * (at % 10 + 1))
        pods.append([f"p{at}", 1000 * (at % 4 + 1), 1024, gpus, share, "", at, at, at + 1])
    table(tmp_path / "alibaba-openb-2023" / "pods.csv.gz", [[*head, "delete_s"], *pods])
    (tmp_path / "philly-2017").mkdir()
    jobs = [[at, 10 * at, 100, 1 + at % 16 if at % 16 < 8 else 16, "t"] for at in range(60)]
    table(
        tmp_path / "philly-2017" / "jobs.csv.gz", [["job_id", "submit_s", "duration_s", "gpus", "vc"], *jobs]
    )
    (tmp_path / "acme-kalos-2023").mkdir()
    gangs = [[at, 30 * at, 400, 1 + at % 5, 8] for at in range(30)]
    table(
        tmp_path / "acme-kalos-2023" / "jobs.csv",
        [["job_id", "submit_s", "duration_s", "nodes", "gpus_per_node"], *gangs],
    )
    (tmp_path / "alibaba-lingjun-2023-topology").mkdir()
    hosts = [[f"h{at:02}", f"s{at // 8}-l{at // 4}", f"s{at // 8}", "c"] for at in range(16)]
    table(
        tmp_path / "alibaba-lingjun-2023-topology" / "hosts.csv",
        [["host", "leaf_asw", "pod_psw", "core_dsw"], *hosts],
    )
    return tmp_path


def test_openb_gives_a_row_per_policy(traces: Path) -> None:
    found = openb.run(traces, seeds=2, workers=1, tell=lambda _text: None)
    text = "\n".join(found.text())
    assert all(f"| {policy} |" in text for policy in fractional.POLICIES)
    assert found.page.startswith("<!doctype html>")


def test_philly_and_lingjun_tell_their_figures(traces: Path) -> None:
    rate = philly.run(traces, runs=1, tell=lambda _text: None)
    assert rate.figures[0].value > 0
    assert rate.figures[1].value == 100
    found = lingjun.run(traces, workers=1, tell=lambda _text: None)
    assert len(found.figures) == 4 * len(lingjun.LOADS)
    assert "the fabric" in found.page.lower()


def test_a_missing_trace_is_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["published", "philly", "--traces", str(tmp_path), "--runs", "1"]) == 2
    assert "jobs.csv.gz" in capsys.readouterr().err


def test_work_is_spread_and_comes_back_with_its_index() -> None:
    items = [3, 1, 2, 5]
    for workers in (1, 2):
        assert sorted(spread(abs, items, workers=workers)) == list(enumerate(items))
    with pytest.raises(TypeError):
        list(spread(abs, [1, "x"], workers=2))  # type: ignore[list-item]


def test_the_engine_shares_gpus_without_giving_one_away_twice(traces: Path) -> None:
    """More is never allocated than there is, and a pod of two GPUs has both on one machine."""
    from benchmarks.simulate.clusters import cluster
    from benchmarks.simulate.traces.reading import Trace

    nodes = cluster(str(traces / "alibaba-openb-2023" / "nodes.csv")).nodes
    jobs = list(Trace(traces / "alibaba-openb-2023" / "pods.csv.gz", "openb-demand").jobs())
    state = fractional.fleet(nodes)
    choose = fractional.by_engine(state, policy="balanced")
    placed = 0
    for job in jobs * 3:
        kind = fractional.kind_of(job)
        fitting = state.fitting(kind)
        choice = choose(state, kind, fitting)
        assert (choice is None) == (fitting.size == 0), "the engine finds room exactly where there is some"
        if choice is None:
            continue
        assert choice[0] in fitting
        assert len(choice[1]) == kind[2]
        state.take(kind, *choice)
        assert (state.gpu >= 0).all() and (state.cpu >= 0).all()
        placed += 1
    assert placed > 20
