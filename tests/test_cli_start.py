"""What a command loads before it works: people wait for it every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from deploy.local.objects import gang_pods, node_object
from topology.synthetic import nvl72

_SCRIPT = """
import sys
from scheduler.cli.main import main
try:
    main()
finally:
    heavy = {"ortools", "aiohttp", "grpc", "pandas"} & {one.partition(".")[0] for one in sys.modules}
    print(sorted(heavy), file=sys.stderr)
"""


def test_a_plan_on_a_snapshot_loads_neither_the_integer_solver_nor_a_client(tmp_path: Path) -> None:
    snapshot, manifest = tmp_path / "snapshot.json", tmp_path / "gang.json"
    snapshot.write_text(json.dumps({"kind": "List", "items": [node_object(one) for one in nvl72(2)]}))
    manifest.write_text(json.dumps(gang_pods("g", 8, gpus=4)))
    command = [sys.executable, "-c", _SCRIPT, "plan", "-f", str(manifest), "--snapshot", str(snapshot)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1] == "[]"
