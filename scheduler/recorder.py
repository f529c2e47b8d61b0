"""The flight recorder: the last decisions, each as one redacted file that can be decided again.

A decision is a pure function of its problems and limits, so those are the record. Nodes, domains and
gangs get numbers in the order of their names, which is all that a decision makes of names; what is
written for people (notes, texts of refusals) is left out, and made anew when it is decided again.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from scheduler.model import InvalidField, InvalidInput
from scheduler.placement.apart import ApartRule
from scheduler.placement.batch import BatchAnswer
from scheduler.placement.problem import (
    Assignment,
    Cluster,
    Limits,
    PlacementProblem,
    Rejection,
    ScopeRule,
    ShapeDemand,
    TermValue,
)
from scheduler.version import version
from scheduler.workloads.natural import natural
from topology.spec import Partition

SCHEMA = "lockstep.decision/v1"
MOST_BYTES = 64 * 1024 * 1024
"""Of arrays that are kept in memory; about 100 decisions of a cluster of 5,000 nodes."""

_MOST_ARRAY = 1 << 30
_DTYPES = ("int64", "int32", "bool", "uint64")
_KINDS = {
    kind.__name__: kind
    for kind in (ApartRule, Cluster, Partition, PlacementProblem, ScopeRule, ShapeDemand, TermValue)
}


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was decided together: the problems in their order, the limits, and what came out."""

    problems: tuple[PlacementProblem, ...]
    limits: Limits
    answer: BatchAnswer

    @property
    def gangs(self) -> tuple[str, ...]:
        return tuple(problem.gang for problem in self.problems)


class Recorder:
    """The last decisions, as far back as they fit into MOST_BYTES."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._kept: deque[tuple[int, Decision]] = deque()

    def add(self, decision: Decision) -> None:
        size = sum(_size(problem) for problem in decision.problems)
        self._kept.append((size, decision))
        self._bytes += size
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popleft()[0]

    def last_of(self, gang: str) -> Decision | None:
        """The last decision about a gang (namespace/name), None when it is not known any more."""
        return next((one for _, one in reversed(self._kept) if gang in one.gangs), None)


def _size(problem: PlacementProblem) -> int:
    cluster = problem.cluster
    arrays = [cluster.free, cluster.total, *(array for s in problem.shapes for array in (s.eligible, s.ever))]
    return sum(array.nbytes for array in arrays)


def document_of(decision: Decision) -> dict[str, Any]:
    """The record of a decision, without a name of the cluster in it."""
    shown = redacted(decision.problems)
    return {
        "schema": SCHEMA,
        "lockstep": version(),
        "limits": {
            "deterministic_s": decision.limits.deterministic_s,
            "refine_s": decision.limits.refine_s,
        },
        "problems": [_encoded(problem) for problem in shown],
        "order": list(decision.answer.order),
        "terms": _encoded(decision.answer.terms),
        "answers": [_answer(one) for one in decision.answer.answers],
    }


def outcome_of(answer: BatchAnswer) -> dict[str, Any]:
    """The part of a record that a second decision must give again, bit for bit."""
    return {
        "order": list(answer.order),
        "terms": _encoded(answer.terms),
        "answers": [_answer(one) for one in answer.answers],
    }


def _answer(answer: Assignment | Rejection) -> dict[str, Any]:
    if isinstance(answer, Assignment):
        return {
            "nodes": answer.nodes.tolist(),
            "terms": _encoded(answer.terms),
            "proof": answer.proof,
            "levels": [list(level) for level in answer.levels],
            "method": answer.method,
        }
    return {
        "code": str(answer.code),
        "possible": answer.possible,
        "proof": answer.proof,
        "level": answer.level,
        "needed": answer.needed,
        "best": answer.best,
    }


def redacted(problems: Sequence[PlacementProblem]) -> tuple[PlacementProblem, ...]:
    """The same problems under other names that sort the same way."""
    gangs = _numbered([problem.gang for problem in problems], "gang")
    return tuple(
        replace(
            problem,
            gang=gangs[problem.gang],
            cluster=_renamed(problem.cluster),
            rules=_roles(problem.rules),
            excluded=(),
            notes=(),
        )
        for problem in problems
    )


def _renamed(cluster: Cluster) -> Cluster:
    nodes = _numbered(cluster.names, "node")
    partitions = []
    for part in cluster.partitions:
        domains = _numbered(part.names, part.name)
        partitions.append(replace(part, names=tuple(domains[name] for name in part.names)))
    names = tuple(nodes[name] for name in cluster.names)
    return replace(cluster, names=names, partitions=tuple(partitions))


def _roles(rules: tuple[ScopeRule, ...]) -> tuple[ScopeRule, ...]:
    """Names of groups are a user's own words, which may stand in the names of their rules as well."""
    roles = _numbered([rule.role for rule in rules if rule.role], "role")
    return tuple(
        replace(rule, role=roles[rule.role], name=rule.name.replace(rule.role, roles[rule.role]))
        if rule.role
        else rule
        for rule in rules
    )


def _numbered(names: Sequence[str], word: str) -> dict[str, str]:
    ordered = sorted(set(names), key=natural)
    return {name: f"{word}-{at + 1}" for at, name in enumerate(ordered)}


# -- files --------------------------------------------------------------------------------


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        packed = zlib.compress(np.ascontiguousarray(value).tobytes(), 6)
        data = base64.b64encode(packed).decode()
        return {"dtype": str(value.dtype), "shape": list(value.shape), "data": data}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            "kind": type(value).__name__,
            **{one.name: _encoded(getattr(value, one.name)) for one in fields(value)},
        }
    if isinstance(value, tuple):
        return [_encoded(one) for one in value]
    if isinstance(value, np.integer):
        return int(value)
    return value


def read(name: str, text: str) -> tuple[tuple[PlacementProblem, ...], Limits, dict[str, Any]]:
    """Problems, limits and outcome of a record; raises InvalidInput."""
    try:
        document = json.loads(text)
        if document.get("schema") != SCHEMA:
            raise InvalidInput(InvalidField(name, "schema", str(document.get("schema")), SCHEMA))
        problems = tuple(_decoded(one) for one in document["problems"])
        if not problems or not all(isinstance(one, PlacementProblem) for one in problems):
            raise ValueError("problems are missing")
        outcome = {key: document[key] for key in ("order", "terms", "answers")}
        given = document["limits"]
        limits = Limits(deterministic_s=float(given["deterministic_s"]), refine_s=float(given["refine_s"]))
        return problems, limits, outcome
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error) as error:
        if isinstance(error, InvalidInput):
            raise
        wanted = f"a decision that `lockstep explain --record` has written ({error})"
        raise InvalidInput(InvalidField(name, "file", text[:40], wanted)) from error


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decoded(one) for one in value)
    if not isinstance(value, Mapping):
        return value
    if "dtype" in value:
        return _array(value)
    kind = _KINDS[value["kind"]]
    return kind(**{key: _decoded(one) for key, one in value.items() if key != "kind"})


def _array(value: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    if value["dtype"] not in _DTYPES:
        raise ValueError(f"an array of {value['dtype']}")
    dtype, shape = np.dtype(value["dtype"]), [int(size) for size in value["shape"]]
    wanted = dtype.itemsize * int(np.prod(shape, dtype=np.int64)) if shape else dtype.itemsize
    if not 0 <= wanted <= _MOST_ARRAY:
        raise ValueError(f"an array of {wanted} bytes")
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(value["data"]), wanted + 1)
    array: np.ndarray[Any, Any] = np.frombuffer(data, dtype=dtype).reshape(shape)
    return array
