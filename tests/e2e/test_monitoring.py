"""Alert rules and the dashboard, by Prometheus's own parser and engine, on what a service really answers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from deploy.local import tools
from deploy.render import CHART
from scheduler.engine.engine import Engine
from scheduler.measures import measured, room_of
from scheduler.metrics import Metrics, Standing
from scheduler.world import World
from tests.builders import two_leaves

FOLDER = CHART / "monitoring"
RULES = (FOLDER / "rules.yaml").read_text()


def alerts() -> dict[str, str]:
    (group,) = yaml.safe_load(RULES)["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def panels() -> dict[str, str]:
    """Query by panel and letter, with Grafana's own variable filled in."""
    found: dict[str, str] = {}
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m")
            found[f"{panel['title']} {target['refId']}"] = query
    return found


WELL = Standing(ready=True, leading=True, watch_age_s={"Pod": 1.0})
STALE = replace(WELL, causes=frozenset({"stale"}), watch_age_s={"Pod": 45.0})


def service(*, failed: int, done: int, standing: Standing = WELL) -> Any:
    metrics = Metrics()
    metrics.decisions.labels("placed", "optimal").inc(done)
    metrics.bindings.labels("done").inc(done)
    metrics.bindings.labels("failed").inc(failed)
    metrics.writes.labels("done").inc(done)
    for _ in range(done):
        metrics.requests.labels("filter", "ok").observe(0.001)
        metrics.solve.observe(0.01)
        metrics.gang_bound.observe(2.0)
        metrics.communication.observe(1.0)
    world = World()
    world.upsert_nodes(two_leaves())
    metrics.measured(measured(room_of(world)))
    return metrics.render(Engine(world), standing).decode()


def scrapes(*, failing: bool, standing: Standing) -> list[tools.Scrape]:
    """Half an hour of a service that binds ten pods a minute, all or half of them in vain."""
    return [
        tools.Scrape(
            1_000_000 + 60 * at, service(done=10 * at, failed=10 * at if failing else 0, standing=standing)
        )
        for at in range(30)
    ]


def answers(
    queries: dict[str, str], *, failing: bool, standing: Standing = WELL
) -> dict[str, list[dict[str, Any]]]:
    found = tools.evaluate(
        scrapes(failing=failing, standing=standing),
        list(queries.values()),
        labels={"job": "lockstep"},
        step_s=60,
    )
    return {name: found[query] for name, query in queries.items()}


def test_prometheus_takes_the_rules() -> None:
    tools.check_rules(RULES)


def test_every_metric_that_is_asked_for_exists() -> None:
    text = service(failed=1, done=1)
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    asked = set(re.findall(r"lockstep_\w+", " ".join([*alerts().values(), *panels().values()])))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} <= known


def test_no_alert_fires_at_a_service_that_does_well() -> None:
    firing = {name: series for name, series in answers(alerts(), failing=False).items() if series}
    assert firing == {}


def test_refused_bindings_fire_their_alert_and_no_other() -> None:
    firing = {name for name, series in answers(alerts(), failing=True).items() if series}
    assert firing == {"LockstepWritesFail"}


@pytest.mark.parametrize(
    ("standing", "alert"),
    [
        (STALE, "LockstepPlansNothing"),
        (replace(WELL, causes=frozenset({"rights"})), "LockstepRightMissing"),
        (replace(WELL, causes=frozenset({"memory"})), "LockstepMemoryTight"),
        (replace(WELL, leading=False), "LockstepNobodyLeads"),
    ],
)
def test_a_service_that_is_degraded_fires_its_alert_and_no_other(standing: Standing, alert: str) -> None:
    found = answers(alerts(), failing=False, standing=standing)
    assert {name for name, series in found.items() if series} == {alert}


def test_every_panel_shows_something() -> None:
    empty = {name for name, series in answers(panels(), failing=False).items() if not series}
    assert empty == set()
