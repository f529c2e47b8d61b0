"""`python -m deploy.local.tied ARGUMENTS`: Lockstep's command line, which ends when its launcher is gone.

The programs of the control plane look for their launcher themselves; what is shipped does not, so a
launcher starts it through this module. Polling, because the kernel's parent-death signal follows the
parent's thread, not its process.
"""

from __future__ import annotations

import os
import runpy
import threading
import time

_POLL_S = 0.25


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("scheduler.cli", run_name="__main__", alter_sys=True)
