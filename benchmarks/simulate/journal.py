"""The journal of a simulation: every answer in order, so that an interrupted run goes on where it was.

Resuming replays the journal's answers in place of asking again; everything else follows
from them, so the state is what it was by construction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np

from benchmarks.simulate.files import write
from benchmarks.simulate.policies import Answer, Decide
from benchmarks.simulate.traces.job import invalid
from scheduler.placement.problem import PlacementProblem

SCHEMA = "lockstep.simulation-journal/v1"
_FLUSH_EVERY_S = 2.0


class Journal:
    """Asks the decider, or answers from the journal of an earlier run.

    `times_ms`: how long the decider took, of the decisions of this run only. `replayed`:
    answers taken from the earlier run.
    """

    def __init__(self, decide: Decide, path: Path | None, *, digest: str, resume: bool) -> None:
        self.times_ms: list[float] = []
        self.replayed = 0
        self._decide = decide
        self._known: list[str] = []
        self._file: TextIO | None = None
        self._flushed_s = time.monotonic()
        if path is None:
            return
        head = json.dumps({"schema": SCHEMA, "digest": digest})
        try:
            if resume and path.exists():
                self._known = _read(path, digest)
            write(path, "\n".join([head, *self._known, ""]))
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            wanted = f"a file that can be read and written ({error.strerror})"
            raise invalid(str(path), "--journal", path, wanted) from error
        self._known.reverse()

    def ask(self, problem: Callable[[], PlacementProblem]) -> Answer:
        """The next decision; the problem is made only when it must be solved."""
        if self._known:
            self.replayed += 1
            return _parse(self._known.pop())
        made = problem()
        started = time.perf_counter()
        answer = self._decide(made)
        self.times_ms.append((time.perf_counter() - started) * 1000)
        if self._file is not None:
            self._file.write(_line(answer) + "\n")
            if time.monotonic() - self._flushed_s > _FLUSH_EVERY_S:
                self._file.flush()
                self._flushed_s = time.monotonic()
        return answer

    def close(self) -> None:
        """Everything on the disk."""
        if self._file is not None:
            self._file.close()


def _read(path: Path, digest: str) -> list[str]:
    """The answers of a journal; a last line that was not written whole is dropped."""
    whole = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        head = json.loads(whole[0]) if whole else {}
    except ValueError:
        head = {}
    if head.get("schema") != SCHEMA:
        raise invalid(f"{path}:1", "schema", head.get("schema", ""), f"a journal ({SCHEMA})")
    if head.get("digest") != digest:
        wanted = f"{digest}: trace, cluster and options as they were; or begin anew without --resume"
        raise invalid(f"{path}:1", "digest", head.get("digest", ""), wanted)
    return whole[1:]


def _line(answer: Answer) -> str:
    where = "-" if answer.nodes is None else ",".join(map(str, answer.nodes.tolist()))
    return f"{where} {answer.proof}"


def _parse(line: str) -> Answer:
    where, _, proof = line.partition(" ")
    nodes = None if where == "-" else np.array([int(part) for part in where.split(",")], dtype=np.int32)
    return Answer(nodes, proof)
