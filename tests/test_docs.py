"""What the pages list is what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

from scheduler.model import Code

DOCS = Path(__file__).parents[1] / "docs"


def test_every_reason_is_told_with_what_to_do() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", (DOCS / "reasons.md").read_text(), re.MULTILINE)
    assert rows == [code.value for code in Code]
