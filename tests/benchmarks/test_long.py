"""Long traces: memory that does not follow them, rows that wait on the disk, ids that are seen twice."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulate import document, rows
from benchmarks.simulate.rows import Rows
from benchmarks.simulate.run import Options, prepare
from benchmarks.simulate.traces.seen import Seen
from scheduler.model import InvalidInput


@settings(deadline=None)
@given(order=st.permutations(range(20)), spill=st.booleans())
def test_rows_come_back_in_the_order_of_their_numbers(order: list[int], spill: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "IN_MEMORY_BYTES", 50 if spill else 1 << 20)
        kept = Rows()
        for count, number in enumerate(order):
            kept.put(number, [number, "é" * number, None])
            if count == 10:
                assert [row[0] for row in kept] == sorted(order[:11]), "read before the last is there"
        wanted = [[number, "é" * number, None] for number in range(20)]
        assert list(kept) == wanted == list(kept)
        assert [json.loads(line) for line in kept.lines()] == wanted
        assert pickle.loads(pickle.dumps(kept)) == wanted
        assert len(kept) == 20


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Rows()

    def full(_: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "_file", type("Full", (), {"write": staticmethod(full)})())
    with pytest.raises(InvalidInput, match="No space left"):
        kept.add(["a"])


def test_ids_are_told_apart_as_the_table_grows() -> None:
    seen = Seen()
    assert all(seen.add(f"job-{at}") for at in range(10_000))
    assert not any(seen.add(f"job-{at}") for at in range(0, 10_000, 7))
    assert seen.add("job-10000")


def most_bytes(folder: Path, jobs: int) -> int:
    """The most that Python holds while a trace of equal jobs runs, besides what it held before."""
    trace = folder / f"{jobs}.csv"
    lines = (f"j{at},{at},5,1,8\n" for at in range(jobs))
    trace.write_text("id,submit_s,duration_s,pods,gpus_per_pod\n" + "".join(lines))
    simulation = prepare(Options(str(trace), "plain", "hgx:1x2x4"))
    tracemalloc.start()
    try:
        simulation.run()
        for _ in document.parts(simulation.document()):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_by_little_per_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 1 << 14)
    monkeypatch.setattr("benchmarks.simulate.traces.reading.WINDOW", 100)
    most_bytes(tmp_path, 500)  # what is loaded and cached once
    few, many = (most_bytes(tmp_path, jobs) for jobs in (1500, 6000))
    assert (many - few) / 4500 < 300, "bytes a job: a million have to fit into 500 MiB with all else"


def test_a_document_is_read_without_its_rows(tmp_path: Path) -> None:
    trace, out = tmp_path / "t.csv", tmp_path / "o.json"
    trace.write_text("id,submit_s,duration_s,pods,gpus_per_pod\na,0,9,2,8\nb,1,9,1,8\n")
    simulation = prepare(Options(str(trace), "plain", "hgx:1x1x2"))
    simulation.run()
    written = simulation.document()
    out.write_text(document.text_of(written))
    found = document.read(out)
    assert list(found["job_rows"]) == list(json.loads(out.read_text())["job_rows"])
    assert [row[0] for row in found["job_rows"]] == ["a", "b"]
    assert document.text_of({**found, "job_rows": found["job_rows"]}) == out.read_text()
    reformatted = tmp_path / "r.json"
    reformatted.write_text(json.dumps(json.loads(out.read_text()), indent=4))
    assert list(document.read(reformatted)["job_rows"]) == list(found["job_rows"])
