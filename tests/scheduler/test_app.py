"""What a service refuses to start with, and what it goes on without."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import pytest

from scheduler import app
from scheduler.config import Config, ServiceConfig
from scheduler.kube.client import Access
from scheduler.model import InvalidInput
from scheduler.placement import kernels

COMPILED = Config(service=ServiceConfig(compiled=True))


def test_compiled_loops_without_the_extra_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match=r"service\.compiled.*lockstep\[fast\]"):
        asyncio.run(app.serve(COMPILED, Access("http://127.0.0.1:1")))


def test_without_a_folder_for_their_cache_the_service_starts_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernels, "warm_up", lambda: False)
    app.warm_up(COMPILED)
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_the_integer_solver_is_loaded_before_the_first_request() -> None:
    script = (
        "import sys; from scheduler import app; from scheduler.config import Config; "
        "early = 'ortools' in sys.modules; app.warm_up(Config()); "
        "sys.exit(early or 'ortools.sat.python.cp_model' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_is_compiled_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(kernels, "warm_up", lambda: pytest.fail("compiled"))
    app.warm_up(Config())
    assert not caplog.text
