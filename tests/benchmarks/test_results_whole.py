"""A full disk never leaves a result file that looks complete."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.simulate import document
from scheduler.model import InvalidInput

ROWS = "id,submit_s,duration_s,pods,gpus_per_pod\n" + "".join(f"j{at},{at},60,1,1\n" for at in range(200))


def limited(most_bytes: int) -> None:
    """No file may grow beyond this, as on a disk that is full; writing fails in place of a signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@pytest.mark.parametrize("before", [None, "old"])
@pytest.mark.parametrize("option", ["--out", "--report"])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, option: str, before: str | None) -> None:
    trace, target = tmp_path / "trace.csv", tmp_path / "result"
    trace.write_text(ROWS)
    if before is not None:
        target.write_text(before)
    words = ["simulate", "--trace", str(trace), "--cluster", "hgx:1x1x2", option, str(target)]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "benchmarks", *words],
        preexec_fn=lambda: limited(10_000),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert option in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (target.read_text() if target.exists() else None) == before
    assert not list(tmp_path.glob(".*.part"))


def test_half_a_document_is_told(tmp_path: Path) -> None:
    half = tmp_path / "half.json"
    half.write_text('{"schema": "lockstep.simulation/v1",\n"digest": "a')
    with pytest.raises(InvalidInput, match=r"half\.json"):
        document.read(half)
