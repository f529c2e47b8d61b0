"""Spans, as a collector receives them; nothing at all without one."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from scheduler.model import InvalidInput
from scheduler.tracing import NoTracer, tracer_to
from tests.builders import members, pod
from tests.collector import collecting
from tests.contract.test_extender_server import NAMES, Running, asked, bind_body, run


def test_filter_plan_and_bind_reach_a_collector() -> None:
    async def test(running: Running) -> None:
        gang = members("g", 2)
        await running.planned(*gang)
        await running.post("filter", asked(gang[0]))

        assert (await running.post("bind", bind_body(gang[0], "n9")))["Error"]

    with collecting() as collector:
        tracer = tracer_to(collector.url)
        run(test, tracer=tracer)
        tracer.close()
    assert collector.resource["service.name"] == "lockstep"
    (plan,), (gang,) = collector.named("lockstep.plan"), collector.named("lockstep.gang")
    assert gang.parent == plan.id
    assert gang.attributes["gang"] == "default/g" and gang.attributes["outcome"] == "placed"
    assert plan.took_s > 0 and plan.attributes == {"gangs": 1, "proof": "optimal"}
    (filtered,) = collector.named("lockstep.filter")
    assert filtered.took_s > 0 and filtered.attributes["bytes"] > 0
    (bound,) = collector.named("lockstep.bind")
    assert bound.attributes["pod"] == "default/g-0"
    assert bound.attributes["bound"] is False and "plan puts this pod on" in bound.attributes["error"]


def test_without_a_collector_nothing_is_made_or_loaded() -> None:
    tracer = NoTracer()
    with tracer.span("a", one=1) as one, tracer.span("b") as other:
        assert one is other
    script = "import sys, scheduler.app; sys.exit(any(m.startswith('opentelemetry') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_without_the_extra_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InvalidInput, match="the extra"):
        tracer_to("http://127.0.0.1:1/v1/traces")


def test_a_collector_that_is_away_hinders_nobody() -> None:
    async def test(running: Running) -> None:
        alone = pod("alone")
        answer = await running.post("filter", asked(alone))
        assert answer["NodeNames"] == NAMES

    before = set(threading.enumerate())
    tracer = tracer_to("http://127.0.0.1:9/v1/traces")
    run(test, tracer=tracer)
    tracer.close()
    assert set(threading.enumerate()) <= before  # nobody goes on trying
