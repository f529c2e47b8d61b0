"""The commands of those who operate Lockstep: flags and help here, the work in the module of each."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scheduler.cli.access import Asked
from scheduler.cli.options import As, ConfigFile, Context, Kubeconfig, Output
from scheduler.cli.output import Format


def attach(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(doctor)
    app.command()(replay)
    app.command()(snapshot)


def doctor(
    scheduler_config: Annotated[
        str | None,
        typer.Option(help="kube-scheduler's configuration; that of the chart in the cluster otherwise."),
    ] = None,
    account: Annotated[
        str, typer.Option(help="Lockstep's service account.", metavar="NAMESPACE/NAME")
    ] = "lockstep-system/lockstep",
    offline: Annotated[bool, typer.Option("--offline", help="Look at files alone, at no cluster.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    output: Output = Format.TABLE,
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """What is wrong with an installation: rights, scheduler configuration, admission, versions, labels.

    Exit code: 0 nothing is wrong; 2 something is; 5 part of it could not be looked at.
    """
    from scheduler.cli import doctoring

    where = doctoring.Installation(account, scheduler_config, live=not offline)
    access = Asked(kubeconfig, context, impersonate)
    code = doctoring.diagnose(where, config=config, access=access, output=output, strict=strict)
    sys.exit(code)


def replay(
    file: Annotated[str, typer.Argument(help="A decision, as `lockstep explain --record` writes it.")],
    output: Output = Format.TABLE,
) -> None:
    """Decide a recorded decision again, and compare.

    Exit code: 0 the same answer, bit for bit; 1 another one.
    """
    from scheduler.cli import replaying

    sys.exit(replaying.replay(file, output=output))


def snapshot(
    unredacted: Annotated[
        bool, typer.Option("--unredacted", help="Keep environments, commands, images and volumes, too.")
    ] = False,
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Keep the names of nodes, pods, namespaces and domains.")
    ] = False,
    output: Output = Format.JSON,
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """Print what decides of a live cluster, redacted, as one List for `--snapshot`: `> cluster.json`.

    Names become random words, the same one everywhere in the file; numbers in them stay. What you plan
    with `-f` on such a file must not select nodes by labels of your own: take --keep-names for that.
    Exit code: 0 all of it; 5 some kinds could not be read, each is named on standard error.
    """
    from scheduler.cli import snapshotting

    code = snapshotting.snapshot(
        config=config,
        access=Asked(kubeconfig, context, impersonate),
        redact=not unredacted,
        hashed=not keep_names and not unredacted,
        output=output,
    )
    sys.exit(code)
