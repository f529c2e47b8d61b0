"""Completion: a script for shells, and the program that kubectl asks about its plugin."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from enum import StrEnum
from typing import Annotated

import typer

PROGRAM = "lockstep"
VARIABLE = "_LOCKSTEP_COMPLETE"
"""Set by the scripts to ask for candidates."""

_NO_FILES = 4
"""What kubectl is told beside the candidates: do not complete file names."""


class Shell(StrEnum):
    """Shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def attach(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh, fish or powershell.")]) -> None:
    """Print the script that makes a shell complete our commands: `source <(lockstep completion bash)`.

    kubectl completes `kubectl lockstep` by itself where kubectl_complete-lockstep is on the PATH.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # imported there, not told

    print(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value))


def asked() -> bool:
    """Whether a shell asks for candidates; then the answer is made ready."""
    if VARIABLE not in os.environ:
        return False
    from typer.completion import completion_init  # type: ignore[attr-defined]  # imported there, not told

    completion_init()
    return True


def candidates(app: typer.Typer, words: list[str]) -> list[str]:
    """What may stand in place of the last word, after those before it."""
    os.environ[VARIABLE] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join([PROGRAM, *words[:-1]]) + " " + words[-1]
    os.environ["COMP_CWORD"] = str(len(words))
    asked()
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        app(prog_name=PROGRAM)
    return out.getvalue().split()


def for_kubectl() -> None:
    """Entry point kubectl_complete-lockstep: a candidate per line, and what kubectl shall do with them."""
    from scheduler.cli.main import app

    for word in candidates(app, sys.argv[1:] or [""]):
        print(word)
    print(f":{_NO_FILES}")
