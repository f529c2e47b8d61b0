"""Memory that comes to its end is told before the kernel kills."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scheduler.memory import Memory, MemoryWatch, look

MIB = 2**20
PAGE = os.sysconf("SC_PAGE_SIZE")


def host(tmp_path: Path, *, resident: int, groups: str, **files: str) -> Memory:
    """What is told on a host with these files below the cgroup folder (`__` for `/`)."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    proc.mkdir()
    (proc / "statm").write_text(f"9999 {resident // PAGE} 1 1 0 1 0\n")
    (proc / "cgroup").write_text(groups)
    for name, text in files.items():
        file = cgroups / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return look(proc, cgroups)


def test_the_limit_is_read_inside_a_container_and_from_the_host(tmp_path: Path) -> None:
    inside = host(tmp_path, resident=64 * MIB, groups="0::/\n", memory_dot_max=str(128 * MIB))
    assert inside == Memory(64 * MIB, 128 * MIB)
    (tmp_path / "two").mkdir()
    outside = host(
        tmp_path / "two",
        resident=64 * MIB,
        groups="4:cpu,memory:/kube/pod\n0::/\n",
        memory__kube__pod__memory_dot_limit_in_bytes=str(96 * MIB),
        memory__memory_dot_limit_in_bytes=str(2**63 - 4096),
    )
    assert outside == Memory(64 * MIB, 96 * MIB)


def test_no_limit_and_no_word_of_one(tmp_path: Path) -> None:
    assert host(tmp_path, resident=64 * MIB, groups="0::/\n", memory_dot_max="max") == Memory(64 * MIB)
    assert look(tmp_path / "nothing", tmp_path / "nothing") == Memory(0)
    assert Memory(64 * MIB).tight() == ""


def test_it_is_said_once_with_both_numbers_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    found = [Memory(mib * MIB, 128 * MIB) for mib in (100, 116, 120, 90)]
    watch = MemoryWatch(iter(found).__next__)
    told = [(watch.once(), watch.tight)[1] for _ in found]
    assert [bool(one) for one in told] == [False, True, True, False]
    assert "116 MiB of memory are in use and the limit is 128 MiB" in told[1]
    assert "raise the limit" in told[1]
    assert sum("degraded" in record.message for record in caplog.records) == 1
