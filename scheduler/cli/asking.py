"""The commands that ask about gangs: flags and help here, the work in `listing`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scheduler.cli.options import (
    DEFAULT_SERVER,
    AllNamespaces,
    As,
    Authority,
    ConfigFile,
    Context,
    Kubeconfig,
    Namespace,
    NoHeaders,
    Output,
    Selector,
    Server,
    Snapshots,
    Token,
    Watch,
)
from scheduler.cli.output import Format


def attach(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(gangs)
    app.command()(explain)


def gangs(
    namespace: Namespace = "default",
    all_namespaces: AllNamespaces = False,
    selector: Selector = None,
    watch: Watch = False,
    no_headers: NoHeaders = False,
    output: Output = Format.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
    certificate_authority: Authority = None,
    snapshot: Snapshots = None,
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """List gangs: state, size, where, since when, and why not.

    With -l: gangs of pods with such labels, which the API server (--kubeconfig, --as) is asked for.
    Exit code: 0; 2 bad input; 5 the service's view of the cluster is too old, or not whole.
    """
    from scheduler.cli import listing
    from scheduler.cli.access import Asked

    source = listing.Gangs(
        listing.Server(server, token, certificate_authority),
        snapshot or [],
        config,
        namespace=None if all_namespaces else namespace,
        selector=selector or "",
        cluster=Asked(kubeconfig, context, impersonate),
    )
    if watch:
        sys.exit(listing.watch(source, output=output, heads=not no_headers))
    sys.exit(listing.gangs(source, output=output, heads=not no_headers))


def explain(
    gang: Annotated[
        str, typer.Argument(metavar="NAMESPACE/GANG", help="The gang; `default/` may be left out.")
    ],
    namespace: Namespace = "default",
    record: Annotated[
        str | None,
        typer.Option(help="Write the last decision about it, redacted, to this file for `replay`."),
    ] = None,
    output: Output = Format.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
    certificate_authority: Authority = None,
    snapshot: Snapshots = None,
    config: ConfigFile = None,
) -> None:
    """Why a gang is where it is, or why it is not placed.

    Exit code: 0 placed or running; 2 invalid; 3 not now; 4 never on these nodes; 5 the service's view of
    the cluster is too old, or not whole.
    """
    from scheduler.cli import listing

    named = gang if "/" in gang else f"{namespace}/{gang}"
    address = listing.Server(server, token, certificate_authority)
    source = listing.Gangs(address, snapshot or [], config)
    if record is not None:
        sys.exit(listing.record(source, named, file=record))
    sys.exit(listing.explain(source, named, output=output))
