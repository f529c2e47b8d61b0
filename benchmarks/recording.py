"""What was measured goes into RESULTS.md, with command, date, machine and versions."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
TRACES = Path(__file__).parents[2] / "shared" / "traces"


@cache
def commit() -> str:
    """The commit of this checkout, with `+` where files were changed since; "" where there is none."""
    git = ["git", "-C", str(RESULTS.parent)]
    try:
        head = subprocess.check_output([*git, "rev-parse", "--short=12", "HEAD"], stderr=subprocess.DEVNULL)
        changed = subprocess.check_output(
            [*git, "status", "--porcelain", "-uno", "--", ":/", ":!RESULTS.md"], stderr=subprocess.DEVNULL
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.decode().strip() + ("+" if changed else "")


def made_by() -> dict[str, str | int]:
    """Machine, versions and commit of a measurement."""
    return {
        "lockstep": version("lockstep"),
        "commit": commit(),
        "cores": os.cpu_count() or 0,
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("ortools", "numpy", "networkx")},
    }


def record(what: str, lines: Sequence[str], words: Sequence[str]) -> None:
    """Replace one part of the results file by what the command of these words has found."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("ortools", "numpy", "networkx"))
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}"
    if at := commit():
        machine += f", commit {at}"
    head = [f"`python -m benchmarks {shlex.join(words)}`, {when}, {machine}", ""]
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# What was measured\n"
    start, end = f"<!-- {what} -->", f"<!-- end of {what} -->"
    part = "\n".join([start, f"## {what}", "", *head, *lines, end])
    if start in text:
        text = text[: text.index(start)] + part + text[text.index(end) + len(end) :]
    else:
        text = f"{text.rstrip()}\n\n{part}\n"
    RESULTS.write_text(text, encoding="utf-8")
