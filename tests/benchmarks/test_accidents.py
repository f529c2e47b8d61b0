"""Every accident in every format of a trace: an error that names file, line and column, or, when that is
asked for, a row that is left out, counted and listed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main


@dataclass(frozen=True)
class Entry:
    """A job of 8 GPUs in words that every format can be written from; times in seconds, "" for none."""

    id: str
    submit_s: str = "0"
    start_s: str = "0"
    end_s: str = "60"
    gpus: str = "8"


def _seconds(entry: Entry) -> str:
    return str(int(entry.end_s) - int(entry.start_s)) if entry.end_s else ""


def _stamp(seconds: str, zone: str = "") -> str:
    return f"2024-01-31T12:{int(seconds) // 60:02d}:{int(seconds) % 60:02d}{zone}" if seconds else ""


def _plain(e: Entry) -> str:
    return f"{e.id},{e.submit_s},{_seconds(e)},1,{e.gpus}"


def _kalos(e: Entry) -> str:
    return f"{e.id},{e.submit_s},{_seconds(e)},1,{e.gpus}"


def _philly(e: Entry) -> str:
    return f"{e.id},{e.submit_s},{_seconds(e)},{e.gpus}"


def _openb(e: Entry) -> str:
    return f"{e.id},{e.gpus},1000,{e.submit_s},{e.start_s},{e.end_s}"


def _sacct(e: Entry) -> str:
    return f"{e.id}|{_stamp(e.submit_s)}|{_stamp(e.start_s)}|{_stamp(e.end_s)}|1|gres/gpu={e.gpus}"


TABLES: dict[str, tuple[str, Callable[[Entry], str]]] = {
    "plain": ("id,submit_s,duration_s,pods,gpus_per_pod", _plain),
    "kalos": ("job_id,submit_s,duration_s,nodes,gpus_per_node", _kalos),
    "philly": ("job_id,submit_s,duration_s,gpus", _philly),
    "openb": ("pod,num_gpu,gpu_milli,create_s,scheduled_s,delete_s", _openb),
    "sacct": ("JobID|Submit|Start|End|AllocNodes|AllocTRES", _sacct),
}
GOOD = [Entry("1"), Entry("2", "10", "10", "70"), Entry("3", "20", "20", "80")]
ACCIDENTS = {
    "ends before it starts": Entry("4", "30", "50", "40"),
    "larger than the cluster": Entry("4", "30", "30", "90", "8000"),
    "an id that was there": Entry("2", "30", "30", "90"),
    "no time of submission": Entry("4", "", "30", "90"),
    "no end": Entry("4", "30", "30", ""),
}


def _table(format: str, entries: list[Entry]) -> str:
    head, line = TABLES[format]
    return "\n".join([head, *map(line, entries)]) + "\n"


def _pod(entry: Entry, zone: str = "Z") -> dict[str, Any]:
    ended = {"terminated": {"finishedAt": _stamp(entry.end_s, zone)}}
    limits = {"nvidia.com/gpu": entry.gpus}
    return {
        "kind": "Pod",
        "metadata": {
            "name": entry.id,
            "namespace": "a",
            "creationTimestamp": _stamp(entry.submit_s, zone),
        },
        "spec": {"containers": [{"name": "m", "image": "i", "resources": {"limits": limits}}]},
        "status": {"startTime": _stamp(entry.start_s, zone), "containerStatuses": [{"state": ended}]},
    }


def _text(format: str, entries: list[Entry]) -> str:
    if format == "kubectl":
        return json.dumps({"kind": "List", "items": [_pod(entry) for entry in entries]})
    return _table(format, entries)


FORMATS = [*TABLES, "kubectl"]


def simulate(folder: Path, format: str, text: str | bytes, *more: str) -> int:
    trace = folder / "trace"
    trace.write_bytes(text.encode() if isinstance(text, str) else text)
    out = str(folder / "out.json")
    words = ("--trace", str(trace), "--format", format, "--cluster", "hgx:1x1x4", "--out", out)
    return main(["simulate", *words, *more])


def excluded(folder: Path) -> tuple[int, int, list[Any]]:
    """Jobs that ended, how many were left out, and their list."""
    found = json.loads((folder / "out.json").read_text())
    return found["summary"]["jobs"]["finished"], len(found["excluded"]), found["excluded"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_accident_is_told_or_left_out(
    tmp_path: Path, format: str, accident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _text(format, [*GOOD, ACCIDENTS[accident]])
    assert simulate(tmp_path, format, text) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'trace'}{', document 1, item' if format == 'kubectl' else ':'}" in told
    assert " is " in told
    assert "expected: " in told
    assert not (tmp_path / "out.json").exists()
    assert simulate(tmp_path, format, text, "--skip-bad") == 0
    finished, count, listed = excluded(tmp_path)
    assert (finished, count) == (3, 1)
    assert str(tmp_path / "trace") in listed[0][0]


@pytest.mark.parametrize("format", FORMATS)
def test_rows_out_of_order_are_put_in_order(tmp_path: Path, format: str) -> None:
    assert simulate(tmp_path, format, _text(format, GOOD[::-1]), "--no-times") == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert [row[1] for row in found["job_rows"]] == [0, 10, 20]


@pytest.mark.parametrize("format", sorted(TABLES))
def test_a_table_without_a_column_is_told(
    tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    between = "|" if format == "sacct" else ","
    needed = TABLES[format][0].split(between)[1]
    assert simulate(tmp_path, format, _table(format, GOOD).replace(needed, "else", 1), "--skip-bad") == 2
    assert f"trace:1: column is '{needed}'" in capsys.readouterr().err


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_gzip_is_told(tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]) -> None:
    many = [replace(GOOD[0], id=f"{at * 7919 % 10_007}-{at}") for at in range(2000)]
    packed = gzip.compress(_text(format, many).encode())
    assert simulate(tmp_path, format, packed[: len(packed) // 2]) == 2
    assert "gzip" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("format", sorted(TABLES))
def test_a_whole_gzip_is_read(tmp_path: Path, format: str) -> None:
    assert simulate(tmp_path, format, gzip.compress(_text(format, GOOD).encode())) == 0
    assert excluded(tmp_path)[:2] == (3, 0)


def test_zones_are_mixed_where_that_means_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pods tell their zones, so each is read in its own; of a Slurm export some would be guessed."""
    pods = [_pod(GOOD[0]), _pod(GOOD[1], "+01:00")]
    assert simulate(tmp_path, "kubectl", json.dumps({"kind": "List", "items": pods}), "--no-times") == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert [row[0:2] for row in found["job_rows"]] == [["a/2", 0], ["a/1", 3590]]
    pods[1]["metadata"]["creationTimestamp"] = "2024-01-31T12:00:00"
    assert simulate(tmp_path, "kubectl", json.dumps({"kind": "List", "items": pods})) == 2
    assert "zone" in capsys.readouterr().err
    mixed = _table("sacct", GOOD).replace("2024-01-31T12:00:10", "2024-01-31T12:00:10+01:00")
    assert simulate(tmp_path, "sacct", mixed) == 2
    assert "trace:3: Submit is" in capsys.readouterr().err
    assert simulate(tmp_path, "sacct", mixed, "--skip-bad") == 0
    assert excluded(tmp_path)[:2] == (2, 1)


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_end_is_an_error_and_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bool
) -> None:
    trace = tmp_path / "trace.csv"
    head, fill = b"id,submit_s,duration_s,pods,gpus_per_pod\na,0,10,1,8\n", b"x" * (1 << 20)
    with gzip.open(trace, "wb") if packed else trace.open("wb") as file:
        file.write(head)
        for _ in range(8):
            file.write(fill)
    assert main(["simulate", "--trace", str(trace), "--cluster", "hgx:1x1x2"]) == 2
    told = capsys.readouterr().err
    assert "trace.csv:3" in told
    assert "lines of at most 1,048,576 characters" in told
