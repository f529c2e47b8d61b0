"""Requests that mean harm or come from a broken client: each gets a status, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import grpc
import pytest
import yaml

from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from tests.builders import members
from tests.rpc.running import Running, run
from tests.rpc.test_answers import PLANS, gang

CALLS = [method.name for method in pb.DESCRIPTOR.services_by_name["Lockstep"].methods]
Code = grpc.StatusCode

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    2**70,
    "",
    "\x00",
    "../../etc/passwd",
    "x" * 70_000,
    "\ud800",
    "9" * 30,
    "8Gi",
    [],
    {},
    [[]],
    {"": None},
    [None] * 50,
]


def mutated(value: Any, rng: random.Random) -> Any:
    """A copy in which one random part is something else, or is gone, or is there twice."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if rng.random() < 0.1:
            return {**value, rng.choice(["items", "kind", "spec", "\ud800", "x" * 300]): value[key]}
        return {**value, key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        if rng.random() < 0.1:
            return [*value, value[at]]
        return [*value[:at], mutated(value[at], rng), *value[at + 1 :]]
    return rng.choice(ODD)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes of which some are others, gone, or there twice."""
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) + 1)
        data = rng.choice(
            (
                data[:at] + rng.randbytes(rng.randint(1, 4)) + data[at:],
                data[:at] + data[at + rng.randint(1, 9) :],
                data[:at] + data[max(at - 20, 0) :],
                data[:at],
            )
        )
    return data


async def called(running: Running, method: str, data: bytes) -> grpc.StatusCode:
    """The status of a call with these bytes; a watch is left after its first message."""
    path = f"/lockstep.v1.Lockstep/{method}"
    try:
        if method == "WatchGangs":
            stream = running.channel.unary_stream(path)(data, timeout=20)
            await stream.read()
            stream.cancel()
        else:
            await running.channel.unary_unary(path)(data, timeout=20)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return Code.OK


@pytest.mark.parametrize("seed", range(4))
def test_mutated_manifests_get_a_decision_or_are_told_what_is_wrong(seed: int) -> None:
    rng = random.Random(seed)
    plans = [manifests for manifests, *_ in PLANS.values() if manifests and len(manifests) < 12]

    async def test(running: Running) -> None:
        running.see(*members("here", 2))
        await running.until("default/here", "reserved")
        before, codes = running.service.gangs()[0]["plan"], set()
        for _ in range(50):
            documents = mutated(rng.choice(plans), rng)
            text = json.dumps(documents).encode()
            if rng.random() < 0.3:
                text = yaml.safe_dump(json.loads(text), allow_unicode=False).encode("utf-8", "replace")
            if rng.random() < 0.3:
                text = damaged(text, rng)
            request = pb.PlanRequest(manifests=text, jointly=rng.random() < 0.3)
            code = await called(running, "Plan", request.SerializeToString())
            assert code in (Code.OK, Code.INVALID_ARGUMENT), text[:2000]
            codes.add(code)
        assert codes == {Code.OK, Code.INVALID_ARGUMENT}
        assert running.service.gangs()[0]["plan"] == before
        await running.still_answers()

    run(test)


def test_damaged_messages_get_a_status_from_every_call() -> None:
    rng = random.Random(7)
    good = {
        "Plan": pb.PlanRequest(manifests=json.dumps(gang("a", 2)).encode(), jointly=True),
        "Explain": pb.ExplainRequest(namespace="default", name="here"),
        "ListGangs": pb.ListGangsRequest(namespace="default"),
        "WatchGangs": pb.WatchGangsRequest(namespace="default", after_version=12345),
    }

    async def test(running: Running) -> None:
        codes = set()
        for at in range(200):
            method = CALLS[at % len(CALLS)]
            data = good[method].SerializeToString() if method in good else b"\x08\x01"
            codes.add(await called(running, method, damaged(data, rng)))
        assert codes <= {Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND}
        assert {Code.OK, Code.INVALID_ARGUMENT} <= codes
        assert await called(running, "Nothing", b"") is Code.UNIMPLEMENTED
        await running.still_answers()

    run(test)


@pytest.mark.parametrize(
    "text",
    [
        b"a: &a [x]\n" + b"".join(b"b%d: &b%d [*a, *a]\n" % (at, at) for at in range(50)),
        b"a0: &a0 {x: 1}\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60)),
        b"- " * 100_000,
        b'{"a":' * 100_000,
        b"[" * 90 + b"]" * 90,
        (
            b'{"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": "a"},'
            b' "spec": {"parallelism": 2147483647, "completions": 2147483647,'
            b' "template": {"spec": {"containers": []}}}}'
        ),
        (
            b'{"kind": "StatefulSet", "apiVersion": "apps/v1", "metadata": {"name": "a"},'
            b' "spec": {"replicas": 100000000, "template": {"spec": {"containers": []}}}}'
        ),
        b"!!python/object/apply:os.system [id]",
        b"? {a: b}\n: c",
        b"a: &a\n  b: *a",
        b"\x00" * 1000,
        b"%YAML 9.9\n---\na",
        b"---\n" * 100_000,
    ],
    ids=range(13),
)
def test_texts_that_are_traps_are_told(text: bytes) -> None:
    async def test(running: Running) -> None:
        code = await called(running, "Plan", pb.PlanRequest(manifests=text).SerializeToString())
        assert code in (Code.OK, Code.INVALID_ARGUMENT)
        await running.still_answers()

    run(test)


def test_what_is_not_grpc_at_all_closes_one_connection() -> None:
    rng = random.Random(3)
    texts = [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(4000),
        rng.randbytes(4000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"",
    ]

    async def test(running: Running) -> None:
        host, _, port = running.address.rpartition(":")
        for text in texts:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(text)
            if text.startswith(b"\x16") or not text:
                writer.close()
            else:
                writer.write_eof()
                while await reader.read(4096):
                    pass
            writer.close()
            await running.still_answers()

    run(test)
