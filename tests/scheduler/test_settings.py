"""Every setting is explained, and the page says what the code does."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from scheduler.cli import settingslist
from scheduler.cli.output import Format
from scheduler.config import ServiceConfig

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_every_setting_of_the_service_is_explained() -> None:
    explained = {one.attribute for one in settingslist.SETTINGS if one.attribute}
    assert explained == {field.name for field in fields(ServiceConfig)}


def test_the_page_has_the_table_of_the_command() -> None:
    """Otherwise: `python -c 'from scheduler.cli.settingslist import table; print(table())'`."""
    assert settingslist.table() in PAGE.read_text(encoding="utf-8")


def test_the_value_in_force_stands_beside_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lockstep.yaml"
    head = "apiVersion: lockstep.scheduling/v1alpha1\nkind: LockstepConfiguration\n"
    text = (
        "topology: {levels: [{name: rack, label: example.com/rack}]}\nservice: {lease: 90s, leadership: {}}\n"
    )
    file.write_text(head + text)
    assert settingslist.explain(str(file), Format.JSON) == 0
    rows = {row["setting"]: row for row in json.loads(capsys.readouterr().out)["settings"]}
    assert (rows["service.lease"]["value"], rows["service.lease"]["default"]) == ("90", "60")
    assert rows["topology.levels"]["value"].startswith("rack")
    assert rows["service.leadership"]["value"] == "name lockstep, namespace lockstep-system"
