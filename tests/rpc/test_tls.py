"""The certificate of the gRPC port: renewed without a restart, and the old one kept while files are wrong."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import grpc
import pytest

from scheduler.extender.tls import Files
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.lockstep.v1.lockstep_pb2_grpc import LockstepStub
from tests.certificates import Authority, Pair
from tests.rpc.running import Running, run


async def _answered(address: str, authority: Authority) -> bool:
    """Whether somebody who trusts only this authority gets an answer on a new connection."""
    trust = grpc.ssl_channel_credentials(authority.file.read_bytes())
    alone = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.secure_channel(address, trust, options=alone) as channel:
        try:
            await LockstepStub(channel).ListGangs(pb.ListGangsRequest(), timeout=5)
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            return False
        return True


def _files(pair: Pair) -> Files:
    return Files(str(pair.cert), str(pair.key))


def _later(pair: Pair) -> None:
    """Files as they are when time has passed since the last change."""
    for file in (pair.cert, pair.key):
        os.utime(file, ns=(file.stat().st_mtime_ns, file.stat().st_mtime_ns + 10**9))


def test_a_new_certificate_is_shown_to_every_new_connection(tmp_path: Path) -> None:
    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    pair = first.pair("server", server=True)

    async def test(running: Running) -> None:
        answered = partial(_answered, running.address)
        assert await answered(first) and not await answered(second)
        second.pair("server", server=True, into=pair)
        _later(pair)
        assert await answered(second) and not await answered(first)

    run(test, tls=_files(pair))


@pytest.mark.parametrize("broken", ["half", "no key", "no file"])
def test_what_cannot_be_used_leaves_the_old_certificate(tmp_path: Path, broken: str) -> None:
    """Half of a pair is there for a moment when two files are written one after the other."""
    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    pair = first.pair("server", server=True)
    key = pair.key.read_bytes()

    async def test(running: Running) -> None:
        answered = partial(_answered, running.address)
        assert await answered(first)
        second.pair("server", server=True, into=pair)
        fresh = pair.key.read_bytes()
        match broken:
            case "half":
                pair.key.write_bytes(key)
            case "no key":
                pair.key.write_bytes(b"no key")
            case _:
                pair.key.unlink()
        assert await answered(first) and not await answered(second)
        pair.key.write_bytes(fresh)
        _later(pair)
        assert await answered(second)

    run(test, tls=_files(pair))
