"""The folder of one run of the control plane: made, owned while it runs, and removed."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

from deploy.local.build import cache_folder

_KEEP_DEAD_S = 24 * 3600.0


class RunFolder:
    """A folder the caller gave, or a new one under the user's cache."""

    def __init__(self, given: Path | None) -> None:
        self._given = given
        self._path: Path | None = None
        self._owner: IO[str] | None = None

    def open(self) -> Path:
        """Make the folder with `data`, `certs` and `logs` in it, and own it."""
        self._path = self._given.resolve() if self._given else _new_run()
        for name in ("data", "certs", "logs"):
            (self._path / name).mkdir(parents=True, exist_ok=True)
        # Held for life, so that a later run knows a living folder from one left by a crash.
        self._owner = (self._path / "owner.lock").open("w")
        fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._path

    def close(self, *, keep: bool) -> None:
        """Give the folder up; unless `keep`, remove it, of a given folder only the data."""
        if self._owner:
            self._owner.close()
        if self._path and not keep:
            shutil.rmtree(self._path / "data" if self._given else self._path)


def _new_run() -> Path:
    runs = cache_folder() / "runs"
    runs.mkdir(exist_ok=True)
    _remove_dead(runs)
    return Path(tempfile.mkdtemp(dir=runs))


def _remove_dead(runs: Path) -> None:
    """Remove folders that crashed or kept runs left a day ago or earlier."""
    for lock in runs.glob("*/owner.lock"):
        if time.time() - lock.stat().st_mtime < _KEEP_DEAD_S:
            continue
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock.parent, ignore_errors=True)
