"""The stubs are what the .proto gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scheduler.rpc.stubs import PROTO

ROOT = Path(__file__).parents[2]


def test_generating_the_stubs_again_gives_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scheduler.rpc.stubs", str(ROOT), str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    folder = Path(PROTO).parent
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in written] == ["lockstep_pb2.py", "lockstep_pb2.pyi", "lockstep_pb2_grpc.py"]
    assert {path.parent for path in written} == {folder}
    for path in written:
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes(), f"{path}: make it anew"
