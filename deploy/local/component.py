"""One program of the control plane as a child process: start, readiness, log, end."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

_POLL_S = 0.02
_ERROR_LINES = 15
_PORT_ATTEMPTS = 4
_PORT_TAKEN = ("address already in use", "bind: Only one usage")


class StartError(RuntimeError):
    """A component did not start; the message carries the end of its log and where the rest is."""


class PortTaken(StartError):
    """Someone else took a port between our choosing it and the component's listening on it."""


def spawned(
    command: Sequence[str | Path],
    *,
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """A child that reads nothing, appends to a log and leads its own process group; `folder`: where it is
    started, `environment`: variables beside ours."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            process_group=0,
            env={**os.environ, **(environment or {})},
        )


class Component:
    """A running child process that appends to its own log.

    It leads its own process group, so a Ctrl-C at the terminal reaches only
    the launcher, which stops its children in the right order. The binary
    itself ends when the launcher is gone, however that went.
    """

    def __init__(self, name: str, command: Sequence[str], *, log: Path) -> None:
        self.name = name
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._process = spawned(command, log=log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Return once `ready()`; raise StartError if the process ends or time runs out first."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise self._failure(f"{self.name} ended with exit code {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"{self.name} was not ready after {timeout_s:.0f} s")
            time.sleep(_POLL_S)

    def stop(self, *, timeout_s: float = 3.0) -> None:
        """End it politely, or by force when it takes longer than `timeout_s`."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it now and wait until it is gone."""
        self.send_kill()
        self._process.wait()

    def send_kill(self) -> None:
        """Ask the kernel to end it, without waiting: so that several can be ended at one moment."""
        self._process.kill()

    def _failure(self, what: str) -> StartError:
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            text = file.read().decode(errors="replace")
        tail = "\n".join(f"  {line}" for line in text.splitlines()[-_ERROR_LINES:])
        kind = PortTaken if any(sign in text for sign in _PORT_TAKEN) else StartError
        return kind(f"{what}; the end of its log, {self.log}:\n{tail}")


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on now, all different. Someone may still take one: see PortTaken."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def with_free_ports(start: Callable[[], None]) -> None:
    """Call `start` again, for it to choose other ports, while someone else is faster at taking them."""
    for _ in range(_PORT_ATTEMPTS - 1):
        try:
            return start()
        except PortTaken:
            continue
    return start()


def answers(url: str) -> bool:
    """Whether a component's health address says 200. Its certificate is its own, made a moment ago."""
    try:
        # Unverified on purpose: loopback, health only, nothing secret is sent.
        context = ssl._create_unverified_context() if url.startswith("https") else None
        with urlopen(url, timeout=2, context=context) as response:
            return bool(response.status == HTTPStatus.OK)
    except HTTPError as error:  # it serves, but says that it is not ready
        error.close()
        return False
    except OSError:
        return False
