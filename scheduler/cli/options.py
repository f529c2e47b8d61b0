"""The options that commands share, with the names and meanings of kubectl's."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.output import Format

Namespace = Annotated[str, typer.Option("-n", "--namespace", help="Namespace.")]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="All namespaces.")]
Output = Annotated[Format, typer.Option("-o", "--output", help="Form of the answer.")]
Kubeconfig = Annotated[
    str | None, typer.Option(help="Kubeconfig file; KUBECONFIG and ~/.kube/config otherwise.")
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="USER", help="Ask the API server as this user; you need that right."),
]
Selector = Annotated[
    str | None,
    typer.Option("-l", "--selector", help="Label selector, as kubectl's: a=b, a!=b, a in (b,c), a, !a."),
]
NoHeaders = Annotated[bool, typer.Option("--no-headers", help="A table without its first line.")]
Watch = Annotated[bool, typer.Option("-w", "--watch", help="Go on, and print what changes.")]
ConfigFile = Annotated[str | None, typer.Option("--config", help="Lockstep's configuration file.")]
Server = Annotated[str, typer.Option(envvar="LOCKSTEP_SERVER", help="Address of the running service.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="LOCKSTEP_TOKEN",
        help="Bearer token for the service, such as `kubectl create token NAME` prints.",
        show_envvar=True,
    ),
]
Authority = Annotated[
    str | None,
    typer.Option(
        "--certificate-authority",
        envvar="LOCKSTEP_CERTIFICATE_AUTHORITY",
        help="File of the certificates that may have signed the service's.",
    ),
]
Snapshots = Annotated[
    list[str] | None,
    typer.Option(
        "--snapshot",
        help="Answer from this file or folder, as `kubectl get nodes,pods -A -o json` prints. Repeatable.",
    ),
]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", help="Log level: 0 warnings, 1 decisions, 2 everything.")
]

DEFAULT_SERVER = "http://127.0.0.1:8888"
