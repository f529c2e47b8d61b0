"""The example of a client does what it says."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.builders import members
from tests.rpc.running import Running, run
from tests.rpc.test_answers import gang

ROOT = Path(__file__).parents[2]


async def started(running: Running, *arguments: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "deploy.examples.grpc_client", "--server", running.address)
    return await asyncio.create_subprocess_exec(
        *command, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


def test_plan(tmp_path: Path) -> None:
    async def test(running: Running) -> None:
        file = tmp_path / "gangs.json"
        for text, code, told in (
            (
                json.dumps(gang("a", 2)),
                0,
                "default/a: VERDICT_PLACED, PROOF_OPTIMAL\n  rank 0: default/a-0 on n",
            ),
            (json.dumps(gang("a", 9)), 3, "default/a: VERDICT_IMPOSSIBLE, PROOF_PROVEN"),
            ("{", 2, "INVALID_ARGUMENT: plan request:1: file is '{'"),
        ):
            file.write_text(text)
            process = await started(running, str(file))
            out, err = await process.communicate()
            assert (process.returncode, told in (out + err).decode()) == (code, True), (out, err)

    run(test)


def test_watch() -> None:
    async def test(running: Running) -> None:
        process = await started(running, "--watch")
        assert process.stdout is not None
        assert (await process.stdout.readline()).split() == [b"RESET"]
        assert (await process.stdout.readline()).split() == [b"SYNCED"]
        running.see(*members("g", 2))
        line = b""
        while b"RESERVED" not in line:
            line = await process.stdout.readline()
            assert b"default/g" in line
        process.terminate()
        await process.communicate()

    run(test)
