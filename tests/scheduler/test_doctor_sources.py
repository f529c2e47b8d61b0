"""doctor looks at the fabric with the sources that the service reads."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.local.objects import node_object
from scheduler.cli import doctoring
from scheduler.config import load_config
from scheduler.kube.client import Reply
from tests.test_cli_sources import CONF, HEAD
from topology.synthetic import nvl72


class Client:
    """A cluster of two racks, and no objects of anybody."""

    async def request(self, method: str, path: str, **_: Any) -> Reply:
        if not path.startswith("/api/v1/nodes"):
            return Reply(404, b"{}")
        nodes = [node_object(one) for one in nvl72(2)]
        return Reply(200, json.dumps({"kind": "NodeList", "metadata": {}, "items": nodes}).encode())


@pytest.mark.parametrize(
    ("sources", "codes"),
    [
        ("[labels]", set()),
        ("[{file: topology.conf, format: slurm}, labels]", {"FabricSourcesDisagree"}),
        ("[{objects: hypernode}, labels]", {"FabricNoObjects"}),
    ],
)
def test_sources_that_contradict_each_other_are_told(tmp_path: Path, sources: str, codes: set[str]) -> None:
    (tmp_path / "topology.conf").write_text(CONF)
    file = tmp_path / "config.yaml"
    file.write_text(f"{HEAD}topology:\n  sources: {sources}\n")
    seen = doctoring._Seen()
    asyncio.run(doctoring._labels(seen, Client(), load_config(str(file))))  # type: ignore[arg-type]
    found = {one.code: one.severity for one in seen.findings}
    assert codes == found.keys() - {"FabricRepeatedNames"}
    assert found.get("FabricSourcesDisagree", "error") == "error"
