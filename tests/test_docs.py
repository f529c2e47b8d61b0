"""What the pages list is what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler import feeds, files, mapfeed, recorder
from scheduler.extender import binder, server
from scheduler.model import Code
from scheduler.placement import changes, defragment
from scheduler.rpc import calls, watching
from scheduler.workloads import family
from topology.formats import hostlist

DOCS = Path(__file__).parents[1] / "docs"


def test_every_reason_is_told_with_what_to_do() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", (DOCS / "reasons.md").read_text(), re.MULTILINE)
    assert rows == [code.value for code in Code]


def test_the_limits_are_those_of_the_code() -> None:
    mib = 1024 * 1024
    code = (
        family.LARGEST,
        feeds.MOST_WORKLOADS,
        mapfeed.MOST,
        files.MOST_DEPTH,
        files.MOST_COPIES,
        hostlist.LIMIT,
        server.LARGEST_PLAN // mib,
        server.MOST_PLANS,
        calls.MOST_ASKING,
        watching.MOST_WATCHERS,
        recorder.MOST_BYTES // mib,
        changes.MOST_FACTS,
        changes.MOST_SOLVES,
        binder.REMEMBERED,
        defragment.MOST_NODES,
    )
    rows = re.findall(r"^\| .+ \| ([0-9,]+) \| .+ \|$", (DOCS / "limits.md").read_text(), re.MULTILINE)
    assert [int(row.replace(",", "")) for row in rows] == list(code)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (DOCS / link).exists()] == []
