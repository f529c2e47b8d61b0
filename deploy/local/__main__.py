"""`python -m deploy.local`: a cluster to try workloads on, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from deploy.local.build import BuildError
from deploy.local.component import StartError
from deploy.local.controllers import NAMES
from deploy.local.lab import Lab
from topology.synthetic import hgx, nvl72


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a lab as the arguments say; the exit code is 0 when it was ended from the keyboard."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends in order, as by Ctrl-C
    try:
        with Lab(controllers=given.controllers, gate=not given.stock) as lab:
            lab.add_nodes(nvl72(given.racks))
            lab.add_nodes(hgx(1, given.leaves, 4))
            if given.stock:
                lab.plane.start_scheduler()
            else:
                lab.start()
            _tell(lab, stock=given.stock)
            _wait()
    except (BuildError, StartError, TimeoutError) as error:
        print(f"the lab did not start: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument(
        "--with",
        dest="controllers",
        metavar="NAMES",
        type=_names,
        default=(),
        help=f"controllers, separated by commas: {', '.join(NAMES)}; each is built when it is missing",
    )
    parser.add_argument(
        "--racks", type=int, default=2, help="NVL72 racks, each 18 nodes with 4 GPUs (default 2)"
    )
    parser.add_argument("--leaves", type=int, default=4, help="leaves of 4 HGX nodes with 8 GPUs (default 4)")
    parser.add_argument("--stock", action="store_true", help="kube-scheduler alone, without Lockstep")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    if unknown := sorted(set(names) - set(NAMES)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; there are {', '.join(NAMES)}")
    return names


def _tell(lab: Lab, *, stock: bool) -> None:
    processes = [*lab.plane.pids(), *lab.controllers.pids(), *([] if stock else ["lockstep"])]
    print(f"running: {', '.join(processes)}")
    server = "" if stock else f" LOCKSTEP_SERVER={lab.url}"
    print(f"  export KUBECONFIG={lab.plane.kubeconfig('admin')}{server}")
    print(f"logs: {lab.plane.logs}")
    print("Ctrl-C ends it", flush=True)


def _wait() -> None:
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
