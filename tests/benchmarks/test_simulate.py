"""The replay: nothing over capacity, no gang in part, no job lost, order kept, and the same bytes twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.simulate import document, files, run
from benchmarks.simulate.clusters import cluster
from benchmarks.simulate.policies import NAMES, Answer
from benchmarks.simulate.replay import DISCIPLINES, Replay
from benchmarks.simulate.run import Options, Simulation, prepare
from scheduler.model import InvalidInput
from scheduler.placement.check import violations
from scheduler.placement.problem import Int32, PlacementProblem

HEAD = "id,submit_s,duration_s,pods,gpus_per_pod,priority\n"
SMALL = "hgx:1x2x2"  # 4 nodes of 8 GPUs, two under each of two leaves


def trace(folder: Path, rows: str) -> str:
    file = folder / "trace.csv"
    file.write_text(HEAD + rows)
    return str(file)


def simulated(folder: Path, rows: str, **changes: Any) -> Simulation:
    found = prepare(Options(trace(folder, rows), "plain", **{"cluster": SMALL, **changes}))
    found.run()
    return found


def jobs(simulation: Simulation) -> dict[str, dict[str, Any]]:
    found = simulation.document()
    return {row[0]: dict(zip(found["job_columns"], row, strict=True)) for row in found["job_rows"]}


def starts(simulation: Simulation) -> dict[str, float | None]:
    return {name: job["start_s"] for name, job in jobs(simulation).items()}


# The figures of a case small enough for paper: 32 GPUs; a takes half the cluster for 100 s, b needs three
# nodes and waits for it, c would fit beside a but stands behind b, d comes last.
CASE = "a,0,100,2,8,0\nb,10,50,3,8,0\nc,20,40,1,8,0\nd,30,10,1,4,5\n"


def test_fifo_by_hand(tmp_path: Path) -> None:
    found = simulated(tmp_path, CASE)
    assert starts(found) == {"a": 0, "b": 100, "c": 100, "d": 140}
    summary = found.document()["summary"]
    assert summary["waiting"]["all"]["wait_s"] == {
        "mean": 70.0,  # 0, 90, 80, 110
        "p50": 85.0,
        "p95": 107.0,
        "p99": 109.4,
        "max": 110.0,
    }
    assert summary["waiting"]["all"]["completion_s"]["max"] == 140.0  # b: 10 to 150
    assert summary["waiting"]["all"]["slowdown"]["max"] == 1.0  # all are short
    busy = 16 * 100 + 24 * 50 + 8 * 40 + 4 * 10
    assert summary["allocation"]["gar_mean"] == pytest.approx(busy / (32 * 150), abs=1e-6)
    assert summary["allocation"]["queued_share"] == pytest.approx(130 / 150, abs=1e-6)
    weighted = (16 * 100 * 0 + 24 * 50 * 90 + 8 * 40 * 80 + 4 * 10 * 110) / busy
    assert summary["waiting"]["all"]["wait_s_by_gpu_time"] == pytest.approx(weighted, abs=1e-6)
    leaf = summary["placement"]["leaf"]
    assert (leaf["span_mean"], leaf["least_mean"], leaf["at_least_share"]) == (1.5, 1.5, 1.0)
    assert summary["placement"]["neighbours_across_leaves"] == pytest.approx(1 / 3, abs=1e-6)
    assert summary["proof"] == {"optimal": 4}


def test_backfill_starts_what_does_not_delay_the_head(tmp_path: Path) -> None:
    long_ones = "e,35,500,1,8,0\nf,36,500,1,8,0\n"
    found = starts(simulated(tmp_path, CASE + long_ones, queue="backfill"))
    assert found["b"] == 100, "the head starts when it would have without the others"
    assert (found["c"], found["d"]) == (20, 30), "both end before the head can start"
    assert found["e"] == 40, "it runs on, and takes the one node that the head leaves"
    assert found["f"] == 150


def test_priority_comes_first(tmp_path: Path) -> None:
    rows = "a,0,100,4,8,0\nb,10,50,4,8,0\nc,20,40,4,8,1\nd,30,10,4,8,1\n"
    assert starts(simulated(tmp_path, rows, queue="priority")) == {"a": 0, "c": 100, "d": 140, "b": 150}


def test_fragmented_is_told_from_full(tmp_path: Path) -> None:
    """Four pods of 5 GPUs leave 3 free on each node: 12 are free, and none holds a pod of 8."""
    rows = "".join(f"x{at},0,100,1,5,0\n" for at in range(4)) + "y,0,10,1,8,0\n"
    summary = simulated(tmp_path, rows).document()["summary"]["fragmentation"]
    assert summary["blocked_share"] == pytest.approx(100 / 110, abs=1e-6)
    assert summary["blocked_gpu_s"] == 800
    full = simulated(tmp_path, "a,0,100,4,8,0\nb,0,10,1,8,0\n").document()["summary"]["fragmentation"]
    assert full["blocked_share"] == 0
    assert full["gfr"] == 0


def test_a_failure_ends_the_gangs_on_the_node(tmp_path: Path) -> None:
    names = [str(node.name) for node in cluster(SMALL).nodes]
    events = tmp_path / "events.csv"
    events.write_text("time_s,node,event\n" + "".join(f"70,{n},down\n80,{n},up\n" for n in names))
    found = simulated(tmp_path, "a,0,100,2,8,0\n", failures=str(events), checkpoint_s=30)
    job = jobs(found)["a"]
    assert (job["start_s"], job["restarts"], job["placed_s"]) == (0, 1, 80)
    assert job["end_s"] == 80 + 40, "60 of 100 s were saved, repairs came at 80"
    assert found.document()["summary"]["failures"]["lost_gpu_h"] == pytest.approx(10 * 16 / 3600, abs=1e-6)
    assert found.document()["summary"]["failures"]["ettr_mean"] == pytest.approx(100 / 120, abs=1e-6)


def test_horizon_cuts_off_and_counts(tmp_path: Path) -> None:
    counts = simulated(tmp_path, CASE, horizon_s=60).document()["summary"]["jobs"]
    names = ("submitted", "started", "finished", "never_started_gpus")
    assert tuple(counts[name] for name in names) == (4, 1, 0, 36)


def test_a_job_too_large_names_its_line_or_is_listed(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"trace.csv:2: gpus is '5 x 8'"):
        simulated(tmp_path, "a,0,1,5,8,0\nb,0,1,4,8,0\n")
    found = simulated(tmp_path, "a,0,1,5,8,0\nb,0,1,4,8,0\n", skip_bad=True)
    assert starts(found) == {"b": 0}
    assert next(iter(found.document()["excluded"]))[0].endswith(":2")


Rows = list[tuple[int, int, int, int]]
ROWS: st.SearchStrategy[Rows] = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(1, 4), st.integers(0, 8)),
    min_size=1,
    max_size=30,
)


def written(rows: Rows) -> str:
    ordered = sorted(rows)
    return "".join(f"j{at},{s},{d},{p},{g},{at % 3}\n" for at, (s, d, p, g) in enumerate(ordered))


@pytest.mark.parametrize(
    "policy",
    ["lockstep", "keep-holes", "first-fit", "best-fit", "emptiest-first", "kube-scheduler", "greedy-groups"],
)
@settings(max_examples=15, deadline=None)
@given(rows=ROWS, queue=st.sampled_from(DISCIPLINES), failing=st.booleans())
def test_after_every_event_the_books_are_right(
    tmp_path_factory: pytest.TempPathFactory, policy: str, rows: Rows, queue: str, failing: bool
) -> None:
    folder = tmp_path_factory.mktemp("books")
    options = Options(trace(folder, written(rows)), "plain", SMALL, policy=policy, queue=queue)
    options = replace(options, mtbf_h=0.02 if failing else None, mttr_h=0.005, checkpoint_s=5)
    simulation = prepare(options)
    books = Books(simulation)
    simulation.replay.observer = books
    simulation.run()
    books.look(simulation.replay)
    assert all(job["end_s"] is not None for job in jobs(simulation).values())
    assert len(jobs(simulation)) == len(rows)
    assert books.looked > 0


class Books:
    """Looks, after every event, at everything that runs; hands the rest to the meter."""

    def __init__(self, simulation: Simulation) -> None:
        self.site, self.meter, self.looked = simulation.site, simulation.meter, 0
        self.ended_ids: set[str] = set()
        self.come: set[str] = set()

    def advance(self, now_s: float, replay: Replay) -> None:
        assert now_s >= replay.now_s
        self.look(replay)
        self.meter.advance(now_s, replay)

    def look(self, replay: Replay) -> None:
        """Put every running gang on the empty cluster again, one after another, under the referee's eyes."""
        self.looked += 1
        free = self.site.world.ledger.total.copy()
        running = self.site.running()
        for job, nodes in running.values():
            assert len(nodes) == job.pods, "a gang runs in part"
            assert violations(self.site.problem(job, free=free), nodes) == ()
            free = free - self.site.use_of(job, nodes)
        assert (free == self.site.free()).all(), "the ledger and what runs differ"
        assert (free >= 0).all()
        _used, held = self.site.world.ledger.audit()
        assert (self.site.world.ledger.sums()[1] == held).all()
        waiting = {task.job.id for task in replay.queue}
        assert not waiting & set(running)
        assert waiting | set(running) | self.ended_ids == self.come

    def submitted(self, task: Any) -> None:
        self.come.add(task.job.id)
        self.meter.submitted(task)

    def started(self, task: Any, nodes: Int32, proof: str) -> None:
        self.meter.started(task, nodes, proof)

    def ended(self, task: Any, now_s: float, *, finished: bool) -> None:
        if finished:
            assert task.job.id not in self.ended_ids
            self.ended_ids.add(task.job.id)
        self.meter.ended(task, now_s, finished=finished)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_fifo_starts_in_the_order_of_submission(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> None:
    found = simulated(tmp_path_factory.mktemp("fifo"), written(rows))
    order = [start_s for start_s in starts(found).values() if start_s is not None]
    assert order == sorted(order)


MANY = written([(at * 7 % 50, at * 13 % 40, at % 4 + 1, at * 5 % 9) for at in range(60)])


@pytest.mark.parametrize("policy", NAMES)
def test_the_same_options_give_the_same_bytes(tmp_path: Path, policy: str) -> None:
    def text() -> str:
        changes: dict[str, Any] = {"policy": policy, "queue": "backfill", "mtbf_h": 0.05, "mttr_h": 0.01}
        return document.text_of(simulated(tmp_path, MANY, **changes).document(times=False))

    assert text() == text()


def test_a_memory_of_answers_changes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory = text_of(simulated(tmp_path, MANY, queue="backfill"))
    monkeypatch.setattr(run, "remembered", lambda decide: decide)
    assert text_of(simulated(tmp_path, MANY, queue="backfill")) == with_memory


def text_of(simulation: Simulation) -> str:
    return document.text_of(simulation.document(times=False))


@pytest.mark.parametrize("stop", [1, 7, 40])
def test_resumed_is_as_never_interrupted(tmp_path: Path, stop: int) -> None:
    options = Options(trace(tmp_path, MANY), "plain", SMALL, queue="backfill", mtbf_h=0.05, mttr_h=0.01)
    journal = tmp_path / "journal"
    whole = prepare(options)
    whole.run()
    broken = prepare(options, journal=journal)
    broken.journal._decide = interrupted(broken.journal._decide, stop)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    with journal.open("a") as file:
        file.write("3,")  # a line that was being written
    resumed = prepare(options, journal=journal, resume=True)
    resumed.run()
    assert resumed.journal.replayed == stop
    assert text_of(resumed) == text_of(whole)
    with pytest.raises(InvalidInput, match="digest"):
        prepare(replace(options, seed=1), journal=journal, resume=True)


def interrupted(
    decide: Callable[[PlacementProblem], Answer], after: int
) -> Callable[[PlacementProblem], Answer]:
    left: Iterator[int] = iter(range(after))

    def decided(problem: PlacementProblem) -> Answer:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return decide(problem)

    return decided


def test_a_document_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out.json"
    files.write(file, "before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InvalidInput, match="No space left"):
        files.write(file, "after")
    assert file.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["out.json"]


def test_commands_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot, jobs = tmp_path / "c.json", tmp_path / "w.csv"
    assert main(["generate", "cluster", "hgx:1x2x4", "--preload", "0.1", "--out", str(snapshot)]) == 0
    sizes = ["--sizes", "1:1,4:1,8:1", "--jobs", "50", "--per-hour", "200"]
    assert main(["generate", "workload", *sizes, "--out", str(jobs)]) == 0
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    for policy, out in zip(("emptiest-first", "lockstep"), outs, strict=True):
        words = ["--trace", str(jobs), "--cluster", str(snapshot), "--policy", policy, "--out", str(out)]
        assert main(["simulate", *words, "--check", "--no-times"]) == 0
        found = json.loads(out.read_text())
        assert found["schema"] == "lockstep.simulation/v1"
        assert "measured" not in found
        assert found["summary"]["jobs"]["finished"] == 50
        assert found["cluster"]["background_pods"] == round(0.1 * 64)
    capsys.readouterr()
    assert main(["compare", *map(str, outs), "-o", "json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["moved"]
    assert compared["figures"]["gfr"][1] < compared["figures"]["gfr"][0]
    assert main(["compare", *map(str, outs), "--fail-on", "jobs_finished>0.5x"]) == 3
    assert main(["compare", *map(str, outs), "--fail-on", "wait_p99_s>1000x"]) == 0
    assert main(["compare", *map(str, outs), "--fail-on", "patience>1"]) == 2
    assert main(["simulate", "--trace", str(jobs), "--cluster", "hgx:1"]) == 2
    assert main(["simulate", "--trace", str(jobs), "--cluster", str(tmp_path / "none.csv")]) == 2
    assert not list(tmp_path.glob("*.journal"))
