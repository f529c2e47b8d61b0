"""Sweeps: every point once however they are cut, the same bytes again, merged with their intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.simulate.stats import interval

ROWS = "id,submit_s,duration_s,pods,gpus_per_pod\n" + "".join(
    f"j{at},{at * 20},{100 + at * 7 % 90},{at % 3 + 1},8\n" for at in range(15)
)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    trace = tmp_path / "jobs.csv"
    trace.write_text(ROWS)
    where = [
        "--trace",
        str(trace),
        "--cluster",
        "hgx:1x2x2",
        "--no-times",
        "--mtbf-h",
        "0.1",
        "--mttr-h",
        "0.02",
    ]
    return ["sweep", *where, "--policies", "lockstep", "best-fit", "--loads", "1", "3", "--seeds", "0", "1"]


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}


def test_shards_make_the_same_files_as_the_whole(tmp_path: Path, words: list[str]) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*words, "--out", str(whole), "--workers", "1"]) == 0
    for at in range(3):
        assert main([*words, "--out", str(parts), "--workers", "1", "--shard", f"{at}/3"]) == 0
    assert contents(whole) == contents(parts)
    assert len(contents(whole)) == 8 + 1


def test_points_that_are_there_stay_and_broken_ones_are_written_again(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main([*words, "--out", str(out), "--workers", "1"])
    before = contents(out)
    broken = next(file for file in sorted(out.iterdir()) if file.name != "sweep.json")
    broken.write_text(before[broken.name][:100])
    capsys.readouterr()
    main([*words, "--out", str(out), "--workers", "1"])
    assert contents(out) == before
    assert capsys.readouterr().err.count("was there") == 7


def test_merged_with_intervals_and_what_is_missing(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main([*words, "--out", str(out), "--workers", "1"])
    capsys.readouterr()
    report = tmp_path / "sweep.html"
    assert main(["compare", str(out), "-o", "json", "--report", str(report)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["groups"]) == 4
    first = found["groups"][0]
    values = [one["summary"]["allocation"]["gar_mean"] for one in documents(out, first)]
    mean, half = interval(values)
    assert first["figures"]["gar_mean"] == {"mean": mean, "half_width_95": half}
    assert report.read_text().startswith("<!doctype html>")
    next(file for file in out.iterdir() if file.name.startswith("best-fit")).unlink()
    assert main(["compare", str(out)]) == 5
    assert "missing: 1 (best-fit" in capsys.readouterr().out


def test_two_sweeps_stand_side_by_side_and_limits_hold_for_them(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    main([*words, "--out", str(a), "--workers", "1"])
    main([*words, "--out", str(b), "--workers", "1", "--policies", "best-fit", "random"])
    capsys.readouterr()
    assert main(["compare", str(a), str(b), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["policy"], one["load"]) for one in found["pairs"]] == [("best-fit", 1.0), ("best-fit", 3.0)]
    assert all(was == now for one in found["pairs"] for was, now in one["figures"].values())
    assert found["only_in_a"] == ["lockstep, fifo, load 1", "lockstep, fifo, load 3"]
    assert found["only_in_b"] == ["random, fifo, load 1", "random, fifo, load 3"]
    assert main(["compare", str(a), str(b), "--fail-on", "gar_mean>1.01x"]) == 0
    assert main(["compare", str(a), str(b), "--fail-on", "gar_mean>0.99x"]) == 3
    assert "beyond its limit: gar_mean>0.99x: best-fit, fifo, load 1" in capsys.readouterr().out
    assert main(["compare", str(a), "--fail-on", "gar_mean>0"]) == 3
    assert main(["compare", str(a), "--fail-on", "gar_mean>1"]) == 0
    assert main(["compare", str(a), "--fail-on", "gar_mean>1x"]) == 2
    assert main(["compare", str(a), "--fail-on", "nothing>1"]) == 2


def documents(folder: Path, group: dict[str, Any]) -> list[dict[str, Any]]:
    found = [json.loads(file.read_text()) for file in folder.glob(f"{group['policy']}-*.json")]
    return [one for one in found if one["options"]["load"] == group["load"]]


@pytest.mark.parametrize("shard", ["4/4", "x", "-1/2", "1/0"])
def test_a_shard_that_is_none_is_told(
    tmp_path: Path, words: list[str], shard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", str(tmp_path / "out"), f"--shard={shard}"]) == 2
    assert "--shard" in capsys.readouterr().err


def test_the_interval_of_a_known_sample() -> None:
    """1, 2, 3: mean 2, standard error 0.5774, t of two degrees of freedom 4.303."""
    assert interval([1.0, 2.0, 3.0]) == (2.0, pytest.approx(2.4843, abs=1e-3))
    assert interval([5.0]) == (5.0, 0.0)


def test_a_folder_without_a_sweep_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path)]) == 2
    assert "sweep" in capsys.readouterr().err
