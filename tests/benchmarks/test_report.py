"""The report: whole, the same every time, with nothing fetched, and right where paper can check it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulate.report import fabric
from benchmarks.simulate.report.charts import Axis, Line, chart
from benchmarks.simulate.report.page import command, page
from benchmarks.simulate.report.runs import duration, runs_of
from benchmarks.simulate.run import Options, prepare

HEAD = "id,submit_s,duration_s,pods,gpus_per_pod\n"
ROWS = HEAD + "a<b>,0,7200,2,8\nb,60,3600,3,8\nc,120,9000,1,4\nd,180,600,4,8\n"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    trace = tmp_path_factory.mktemp("report") / "trace.csv"
    trace.write_text(ROWS)
    found = []
    for policy in ("lockstep", "best-fit"):
        simulation = prepare(Options(str(trace), "plain", "hgx:1x2x2", policy=policy))
        simulation.run()
        found.append(simulation.document(times=False))
    return found


class Reader(HTMLParser):
    """Keeps what a browser would fetch, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action") and value:
                self.fetched.append(value)
            if name == "id" and value:
                self.ids.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def test_the_page_is_whole_and_fetches_nothing(documents: list[dict[str, Any]]) -> None:
    text = page(documents)
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert all(one.startswith(("#", "data:,")) for one in reader.fetched)
    assert {one[1:] for one in reader.fetched if one.startswith("#")} <= set(reader.ids)
    addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "url(http" not in text
    assert "a&lt;b&gt;" in text
    assert "<b>" not in text
    assert page(documents) == text


def test_every_figure_of_the_page_is_defined(documents: list[dict[str, Any]]) -> None:
    text = page(documents)
    for name in documents[0]["definitions"]:
        assert name in text


def test_the_picture_shows_who_runs_at_that_time(documents: list[dict[str, Any]]) -> None:
    """a and c run at 150 s; b, three whole nodes, waits for a."""
    from benchmarks.simulate.clusters import cluster

    drawing = fabric.drawn(documents[0], cluster("hgx:1x2x2"), 150.0)
    assert "a&lt;b&gt; (16 GPUs)" in drawing
    assert "4 nodes · 32 GPUs · 16 used · 16 free" in drawing
    later = fabric.drawn(documents[0], cluster("hgx:1x2x2"), 7300.0)
    assert "b (24 GPUs)" in later
    assert "c (4 GPUs)" in later


def test_moments_are_in_the_run(documents: list[dict[str, Any]]) -> None:
    found = fabric.moments(documents[0])
    span_s = documents[0]["summary"]["allocation"]["span_s"]
    assert found == sorted(found, key=lambda one: one.at_s)
    assert all(0 <= one.at_s <= span_s for one in found)


def test_runs_are_named_by_what_differs(documents: list[dict[str, Any]]) -> None:
    assert [run.name for run in runs_of(documents)] == ["lockstep", "best-fit"]
    assert [run.name for run in runs_of([documents[0], documents[0]])] == ["lockstep", "lockstep (2)"]


def test_the_command_gives_the_options_back(documents: list[dict[str, Any]]) -> None:
    words = command(documents[1]["options"])
    assert "--policy best-fit" in words
    assert "--load" not in words


def test_a_chart_keeps_what_stands_out() -> None:
    points = [(float(at), 0.0) for at in range(5000)]
    points[2345] = (2345.0, 7.0)
    axis = Axis("x", str)
    drawn = chart("peak", [Line("a", "#000000", points)], axis, axis)
    assert '"7.0"' in drawn.replace("&quot;", '"')


def test_durations() -> None:
    assert [duration(s) for s in (0, 59, 60, 5400, 86_400 * 3)] == ["0 s", "59 s", "1 min", "1.5 h", "3 d"]


def test_plots_are_written_and_the_same_every_time(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.simulate.report.plots import PLOTS, save

    first, second = save(documents, tmp_path / "a"), save(documents, tmp_path / "b")
    assert len(first) == 2 * len(PLOTS)
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]
