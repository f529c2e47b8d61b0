"""The charts of a report as PNG and SVG files, by matplotlib (extra `reports`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.simulate.report.runs import Run, duration, runs_of, time_unit
from benchmarks.simulate.traces.job import invalid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6ebf0",
    "axes.edgecolor": "#b7c2cd",
    "svg.hashsalt": "lockstep",
    "svg.fonttype": "none",
}
Draw = Callable[["Axes", Sequence[Run]], None]


def save(documents: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Every plot as NAME.png and NAME.svg in the folder; equal runs give equal files. Raises InvalidInput
    without matplotlib, and where a file cannot be written."""
    try:
        import matplotlib  # noqa: PLC0415  (an extra, and a second to load)
    except ModuleNotFoundError as error:
        raise invalid("--plots", "library", "matplotlib", "pip install 'lockstep[reports]'") from error
    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    runs, written = runs_of(documents), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in PLOTS.items():
            with matplotlib.rc_context(_STYLE):
                figure, axes = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
                draw(axes, runs)
                if len(runs) > 1:
                    axes.legend(frameon=False)
                for kind in ("png", "svg"):
                    path = folder / f"{name}.{kind}"
                    figure.savefig(path, dpi=150, metadata={} if kind == "png" else {"Date": None})
                    written.append(path)
                pyplot.close(figure)
    except OSError as error:
        wanted = f"a folder that can be written ({error.strerror})"
        raise invalid(str(folder), "--plots", folder, wanted) from error
    return written


def _over_time(
    axes: Axes, runs: Sequence[Run], points: Callable[[Run], Sequence[tuple[float, float]]], label: str
) -> None:
    unit, size = time_unit(max(float(run.summary["allocation"]["span_s"]) for run in runs))
    for run in runs:
        found = points(run)
        axes.step(
            [at / size for at, _ in found],
            [value for _, value in found],
            where="post",
            color=run.colour,
            label=run.name,
            linewidth=1.2,
        )
    axes.set(xlabel=f"time, {unit}", ylabel=label, xlim=(0, None), ylim=(0, None))


def _allocated(axes: Axes, runs: Sequence[Run]) -> None:
    _over_time(axes, runs, Run.allocated, "GPUs allocated, share")


def _queued(axes: Axes, runs: Sequence[Run]) -> None:
    _over_time(axes, runs, lambda run: run.over_time("queued"), "jobs waiting")


def _fragmented(axes: Axes, runs: Sequence[Run]) -> None:
    level = "leaf" if "leaf" in runs[0].levels else runs[0].levels[-1]
    _over_time(
        axes,
        runs,
        lambda run: run.over_time(level, of="fragmented"),
        f"free GPUs scattered, {level}",
    )


def _gang(axes: Axes, runs: Sequence[Run]) -> None:
    _over_time(axes, runs, lambda run: run.over_time("gang"), "F_gang, of all GPUs")


def _waits(axes: Axes, runs: Sequence[Run]) -> None:
    for run in runs:
        waited = run.waits()
        waits, shares = [max(wait, 1.0) for wait, _ in waited], [share for _, share in waited]
        axes.step(waits, shares, where="post", color=run.colour, label=run.name)
    axes.set(xscale="log", xlabel="wait", ylabel="jobs that waited at most so long", ylim=(0, 1))
    axes.xaxis.set_major_formatter(lambda value, _position: duration(value))


def _steps(axes: Axes, runs: Sequence[Run]) -> None:
    for at, run in enumerate(runs):
        found = run.summary["communication"]["step_ms"]
        reach = [[found["mean"] - found["least"]], [found["most"] - found["mean"]]]
        axes.barh(at, found["mean"], color=run.colour, label=run.name, xerr=reach, capsize=4)
    axes.set(xlabel="estimated step, ms (nothing overlapped)", yticks=[], xlim=(0, None))


PLOTS: Mapping[str, Draw] = {
    "allocated": _allocated,
    "queued": _queued,
    "fragmented": _fragmented,
    "gang-fragmentation": _gang,
    "waits": _waits,
    "step-times": _steps,
}
