"""The journal of a simulation: every answer in order, so that an interrupted run goes on where it was.

Resuming replays the journal's answers in place of asking again; everything else follows
from them, so the state is what it was by construction.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from benchmarks.simulate.files import write
from benchmarks.simulate.policies import Answer, Decide
from benchmarks.simulate.traces.job import invalid
from scheduler.model import InvalidInput
from scheduler.placement.problem import PlacementProblem

SCHEMA = "lockstep.simulation-journal/v1"
_FLUSH_EVERY_S = 2.0


class Journal:
    """Asks the decider, or answers from the journal of an earlier run, which is read line by line.

    `times_ms`: how long the decider took, of the decisions of this run only. `replayed`:
    answers taken from the earlier run.
    """

    def __init__(self, decide: Decide, path: Path | None, *, digest: str, resume: bool) -> None:
        self.times_ms = array("d")
        self.replayed = 0
        self._decide = decide
        self._path = path
        self._file: BinaryIO | None = None
        self._known = False
        self._flushed_s = time.monotonic()
        if path is None:
            return
        try:
            self._known = resume and path.exists()
            if not self._known:
                write(path, json.dumps({"schema": SCHEMA, "digest": digest}) + "\n", option="--journal")
            with path.open("rb") as file:
                head = file.readline()
            _check_head(path, head, digest)
            self._file = path.open("r+b")
            self._file.seek(len(head))
        except OSError as error:
            raise self._broken(error) from error

    def ask(self, problem: Callable[[], PlacementProblem]) -> Answer:
        """The next decision; the problem is made only when it must be solved."""
        if self._known and (known := self._next()) is not None:
            self.replayed += 1
            return known
        made = problem()
        started = time.perf_counter()
        answer = self._decide(made)
        self.times_ms.append((time.perf_counter() - started) * 1000)
        if self._file is not None:
            self._keep(self._file, answer)
        return answer

    def close(self) -> None:
        """Everything on the disk."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise self._broken(error) from error

    def _next(self) -> Answer | None:
        """The next answer of the earlier run; a last line that was not written whole is cut off."""
        assert self._file is not None
        start = self._file.tell()
        line = self._file.readline()
        if line.endswith(b"\n"):
            return _parse(line.decode())
        self._known = False
        self._file.seek(start)
        self._file.truncate()
        return None

    def _keep(self, file: BinaryIO, answer: Answer) -> None:
        try:
            file.write(_line(answer).encode() + b"\n")
            if time.monotonic() - self._flushed_s > _FLUSH_EVERY_S:
                file.flush()
                self._flushed_s = time.monotonic()
        except OSError as error:
            raise self._broken(error) from error

    def _broken(self, error: OSError) -> InvalidInput:
        wanted = f"a file that can be read and written ({error.strerror})"
        return invalid(str(self._path), "--journal", self._path, wanted)


def _check_head(path: Path, line: bytes, digest: str) -> None:
    try:
        head = json.loads(line)
    except ValueError:
        head = {}
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        found = head.get("schema", "") if isinstance(head, dict) else head
        raise invalid(f"{path}:1", "schema", found, f"a journal ({SCHEMA})")
    if head.get("digest") != digest:
        wanted = f"{digest}: trace, cluster and options as they were; or begin anew without --resume"
        raise invalid(f"{path}:1", "digest", head.get("digest", ""), wanted)


def _line(answer: Answer) -> str:
    where = "-" if answer.nodes is None else ",".join(map(str, answer.nodes.tolist()))
    return f"{where} {answer.proof}"


def _parse(line: str) -> Answer:
    where, _, proof = line.rstrip("\n").partition(" ")
    nodes = None if where == "-" else np.array([int(part) for part in where.split(",")], dtype=np.int32)
    return Answer(nodes, proof)
