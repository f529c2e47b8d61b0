"""Writes the Python stubs of the API: `python -m scheduler.rpc.stubs [ROOT [INTO]]`, by default here.

A process of its own, because the compiler and OR-Tools bring two protobuf libraries that
do not get on in one.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

PROTO = "scheduler/rpc/lockstep/v1/lockstep.proto"


def generate(root: Path, into: Path) -> None:
    """Write the stubs of the .proto below `root` to the same folder below `into`.

    Needs grpcio-tools, which only development installs. The same version writes the same
    bytes; the lock file pins it. Raises RuntimeError for a .proto that does not compile.
    """
    from grpc_tools import protoc  # noqa: PLC0415  (nothing that runs needs the compiler)

    into.mkdir(parents=True, exist_ok=True)
    well_known = files("grpc_tools") / "_proto"
    arguments = [f"-I{root}", f"-I{well_known}"]
    arguments += [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", *arguments, PROTO]):
        raise RuntimeError(f"{root / PROTO} does not compile")


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    generate(root, Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else root)
