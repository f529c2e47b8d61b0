"""The command line: flags and help here, the work in the module of each command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from scheduler.cli import asking, completing, operating
from scheduler.cli.exits import BAD_INPUT, OUR_ERROR
from scheduler.cli.options import (
    As,
    ConfigFile,
    Context,
    Kubeconfig,
    Namespace,
    Output,
    Snapshots,
    Verbose,
)
from scheduler.cli.output import Format, complain
from scheduler.model import InvalidInput

app = typer.Typer(
    name="lockstep",
    help="Gang scheduler for GPU clusters: whole gangs, placed by the fabric, proven.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topology_app = typer.Typer(
    help="The fabric: levels, domains, nodes.", no_args_is_help=True, rich_markup_mode=None
)
config_app = typer.Typer(help="The configuration file.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(topology_app, name="topology")
app.add_typer(config_app, name="config")
asking.attach(app)
operating.attach(app)
completing.attach(app)


@app.command()
def serve(
    config: ConfigFile = None, kubeconfig: Kubeconfig = None, context: Context = None, verbose: Verbose = 1
) -> None:
    """Run the scheduler extender: HTTP for kube-scheduler, metrics, and the read-only API."""
    from scheduler.cli import serving

    sys.exit(serving.serve(config=config, kubeconfig=kubeconfig, context=context, verbose=verbose))


@app.command()
def plan(
    files: Annotated[
        list[str],
        typer.Option("-f", "--filename", help="Manifest file, folder, or - for standard input. Repeatable."),
    ],
    snapshot: Snapshots = None,
    jointly: Annotated[
        bool, typer.Option(help="All gangs as one batch, whose order does not matter.")
    ] = False,
    evict: Annotated[
        bool,
        typer.Option("--evict", help="Name the fewest victims that would make room; nothing is evicted."),
    ] = False,
    defragment: Annotated[
        bool,
        typer.Option(
            "--defragment",
            help="Name the fewest GPUs that would have to move, step by step; an answer only.",
        ),
    ] = False,
    namespace: Namespace = "default",
    output: Output = Format.TABLE,
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """Where would these manifests go, now? Else: why not, and what would help.

    Exit code: 0 placed; 2 bad input; 3 does not fit now; 4 can never fit on these nodes; 5 stale data.
    """
    from scheduler.cli import planning
    from scheduler.cli.sources import Source

    source = Source(snapshot or [], config=config, kubeconfig=kubeconfig, context=context, user=impersonate)
    asked = planning.Asked(jointly=jointly, evict=evict, moves=defragment)
    sys.exit(planning.plan(files, source, asked, namespace=namespace, output=output))


@topology_app.command("show")
def topology_show(
    snapshot: Snapshots = None,
    output: Output = Format.TABLE,
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """The fabric as a tree, with free and total GPUs, and what is odd about the labels."""
    from scheduler.cli import fabric
    from scheduler.cli.sources import Source

    sys.exit(
        fabric.show(
            Source(snapshot or [], config=config, kubeconfig=kubeconfig, context=context, user=impersonate),
            output,
        )
    )


@topology_app.command("draw")
def topology_draw(
    snapshot: Snapshots = None,
    svg: Annotated[str | None, typer.Option(help="Write an SVG picture to this file.")] = None,
    width: Annotated[int, typer.Option(help="Columns of the picture in characters.", min=40, max=400)] = 100,
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """The fabric as a picture: who uses which GPUs; in characters, or as SVG."""
    from scheduler.cli import fabric
    from scheduler.cli.sources import Source

    source = Source(snapshot or [], config=config, kubeconfig=kubeconfig, context=context, user=impersonate)
    sys.exit(fabric.draw(source, svg=svg, width=width))


@topology_app.command("import")
def topology_import(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files of any format, folders, or - for standard input."),
    ],
    to: Annotated[
        str, typer.Option("--to", help="labels, kueue, kai, hypernode, slurm, topograph or graphml.")
    ],
    source: Annotated[
        str | None, typer.Option("--from", help="Format to read; told by the content otherwise.")
    ] = None,
    output: Annotated[str | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    hosts: Annotated[
        str | None,
        typer.Option(help="Only these hosts: a list such as n[001-120], or a file of names or Node objects."),
    ] = None,
    name_map: Annotated[
        str | None, typer.Option(help="Node name map of InfiniBand tools: names for GUIDs.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Label the cluster's nodes: show the difference, see --yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --apply: write it.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --apply: even if the source contradicts itself.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """Read a fabric from one format, or from several files that add up, and write it in another.

    What contradicts itself, and what the format written cannot hold, is told on standard error.
    Exit code: 0 fine; 1 a node could not be labelled; 2 bad input, or a source that contradicts
    itself (what is left of it is written, but not to the cluster).
    """
    from scheduler.cli import importing

    ask = importing.Ask(hosts, name_map, apply, yes, force, kubeconfig, context, impersonate)
    sys.exit(importing.convert(files, source=source, target=to, output=output, ask=ask))


@topology_app.command("lint")
def topology_lint(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE...]", help="Files of any format, instead of a cluster."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Format of the files; told by the content otherwise.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    snapshot: Snapshots = None,
    output: Output = Format.TABLE,
    config: ConfigFile = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    impersonate: As = None,
) -> None:
    """What is odd about the fabric: coverage per level, contradictions, GPUs that do not fit.

    Exit code: 0 no error was found (with --strict: nor a warning); 2 otherwise, and for bad input.
    """
    from scheduler.cli import linting
    from scheduler.cli.sources import Source

    cluster = Source(snapshot or [], config=config, kubeconfig=kubeconfig, context=context, user=impersonate)
    sys.exit(linting.check(files or [], cluster, form=source, output=output, strict=strict))


@config_app.command("check")
def config_check(
    file: Annotated[str, typer.Argument(help="The configuration file.")], output: Output = Format.TABLE
) -> None:
    """Check a configuration file; every fault with its line and what would be right."""
    from scheduler.cli import configuration

    sys.exit(configuration.check(file, output))


@config_app.command("explain")
def config_explain(
    file: Annotated[str | None, typer.Argument(help="The configuration file; the defaults without.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Every setting, the value in force, and what it means."""
    from scheduler.cli import settingslist

    sys.exit(settingslist.explain(file, output))


@app.command()
def version() -> None:
    """Print the version."""
    from scheduler.version import version as installed

    print(f"lockstep {installed()}")


def main() -> None:
    """Entry point: bad input is told on standard error, never as a traceback."""
    completing.asked()
    try:
        app(prog_name="kubectl lockstep" if "kubectl-" in os.path.basename(sys.argv[0]) else "lockstep")  # noqa: PTH119
    except InvalidInput as error:
        for fault in error.faults:
            complain(str(fault))
        sys.exit(BAD_INPUT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OUR_ERROR)
    except KeyboardInterrupt:
        sys.exit(130)
