"""Completion, as a shell and as kubectl ask for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(code: str, *words: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
    assert done.stderr == ""
    return done.stdout


KUBECTL = "from scheduler.cli.completing import for_kubectl; for_kubectl()"
MAIN = "from scheduler.cli.main import main; main()"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("sn",), ["snapshot"]),
        (("topology", "d"), ["draw"]),
        (("gangs", "--no"), ["--no-headers"]),
        (("gangs", "-o", "j"), ["json"]),
    ],
)
def test_kubectl_is_given_candidates_and_told_that_these_are_no_files(
    words: tuple[str, ...], found: list[str]
) -> None:
    assert run(KUBECTL, *words).split() == [*found, ":4"]


def test_a_shell_asks_by_its_variables() -> None:
    answer = run(MAIN, _LOCKSTEP_COMPLETE="complete_bash", COMP_WORDS="lockstep ga", COMP_CWORD="1")
    assert answer.split() == ["gangs"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script(shell: str) -> None:
    assert "_LOCKSTEP_COMPLETE" in run(MAIN, "completion", shell)
