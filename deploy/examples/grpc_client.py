"""A client of the gRPC API: would these manifests fit, and then who comes and goes.

    python deploy/examples/grpc_client.py [--server 127.0.0.1:9443] manifests.yaml
    python deploy/examples/grpc_client.py [--server 127.0.0.1:9443] --watch

Needs `service: {grpc: 127.0.0.1:9443}` in the configuration of the service. Other
languages generate their stubs from scheduler/rpc/lockstep/v1/lockstep.proto.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import grpc

from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.lockstep.v1.lockstep_pb2_grpc import LockstepStub


def plan(stub: LockstepStub, file: str) -> int:
    """Print where every gang would go, or why not; 3 when one would not."""
    answer = stub.Plan(pb.PlanRequest(manifests=Path(file).read_bytes()), timeout=30)
    for gang in answer.gangs:
        print(f"{gang.gang}: {pb.Verdict.Name(gang.verdict)}, {pb.Proof.Name(gang.proof)}")
        for pod in gang.pods:
            print(f"  rank {pod.rank}: {pod.pod} on {pod.node}")
        if gang.HasField("reason"):
            print(f"  {gang.reason.message}")
        for fix in gang.reason.fixes:
            print(f"  would help: {fix.change}")
    return 0 if all(gang.verdict == pb.VERDICT_PLACED for gang in answer.gangs) else 3


def watch(stub: LockstepStub) -> int:
    """Print every change of the list of gangs; after a break go on where it was."""
    version = 0
    while True:
        try:
            for change in stub.WatchGangs(pb.WatchGangsRequest(after_version=version)):
                version = change.version or version
                gang, kind = change.gang, pb.ChangeKind.Name(change.kind).removeprefix("CHANGE_KIND_")
                state = pb.GangState.Name(gang.state).removeprefix("GANG_STATE_")
                print(kind, gang.gang, state if gang.gang else "", gang.where, gang.reason, flush=True)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise


def main() -> int:
    """Entry point; the exit code is that of `lockstep plan`, as far as an example goes."""
    parser = argparse.ArgumentParser(description="A client of Lockstep's gRPC API.")
    parser.add_argument("--server", default="127.0.0.1:9443")
    parser.add_argument("--watch", action="store_true", help="follow the list of gangs")
    parser.add_argument("manifests", nargs="?", help="a file of pods and workloads, YAML or JSON")
    asked = parser.parse_args()
    if not asked.watch and not asked.manifests:
        parser.error("a file of manifests, or --watch")
    options = (("grpc.max_receive_message_length", 64 * 1024 * 1024),)
    with grpc.insecure_channel(asked.server, options=options) as channel:
        stub = LockstepStub(channel)
        try:
            return watch(stub) if asked.watch else plan(stub, asked.manifests)
        except grpc.RpcError as error:
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
            return 2 if error.code() is grpc.StatusCode.INVALID_ARGUMENT else 1
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
