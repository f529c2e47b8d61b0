"""What an earlier term had on its way while a later one began changes nothing."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Coroutine
from typing import Any

from scheduler.kube.objects import pod_from_bytes
from scheduler.kube.writes import Place, bind, claim, let_through
from scheduler.model import ANNOTATION_TERM, NodeName, Pod
from tests.fakes import POD_ROOT, FakeApi, FakeClient, VirtualLoop

_PATH = f"{POD_ROOT}/g-0"
_GANG = {"lockstep.scheduling/gang": "g"}


def _seen(api: FakeApi) -> Pod:
    return pod_from_bytes(json.dumps(api.objects[_PATH]).encode())


def _term(api: FakeApi) -> str:
    return str(api.objects[_PATH]["metadata"]["annotations"].get(ANNOTATION_TERM, ""))


def _waiting() -> FakeApi:
    api = FakeApi(random.Random(1))
    api.add_pod("g-0", gpus=1, annotations=_GANG)
    return api


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


def test_a_claim_that_was_on_its_way_does_not_undo_that_of_a_later_term() -> None:
    async def story() -> None:
        api = _waiting()
        before = _seen(api)
        late, later = FakeClient(api), FakeClient(api)
        late.awake.clear()
        delayed = asyncio.ensure_future(claim(late, before, "9-old"))
        await asyncio.sleep(1)
        assert (await claim(later, before, "10-new")).done
        late.awake.set()
        outcome = await delayed
        assert (_term(api), outcome.done, outcome.final) == ("10-new", False, True)

    _run(story())


def test_a_claim_follows_a_pod_that_changed_meanwhile() -> None:
    async def story() -> None:
        api = _waiting()
        before = _seen(api)
        api.change(_PATH, lambda pod: pod["metadata"]["annotations"].update(other="1"))
        for term in ("1-new", "2-newer"):
            assert (await claim(FakeClient(api), before, term)).done
            assert _term(api) == term

    _run(story())


def test_a_pod_that_is_gone_or_another_by_now_needs_no_claim() -> None:
    async def story() -> None:
        api = _waiting()
        before = _seen(api)
        api.remove(_PATH)
        assert (await claim(FakeClient(api), before, "1-new")).done
        api.add_pod("g-0", gpus=1, annotations=_GANG)
        assert (await claim(FakeClient(api), before, "1-new")).done
        assert _term(api) == ""

    _run(story())


def test_a_plan_that_a_later_term_has_carried_out_is_not_signed_by_an_earlier_one() -> None:
    """Both plan the same node; the earlier one wakes up when the pod is bound there already."""

    async def story() -> None:
        api = _waiting()
        api.add_node("n1")
        before = _seen(api)
        old, new = (
            Place(before.key, before.uid, NodeName("n1"), "p", 0, term) for term in ("0-old", "1-new")
        )
        version = before.resource_version
        assert (await let_through(FakeClient(api), new, gated=True, nominate=True, version=version)).done
        carried = await bind(FakeClient(api), new, pod=before.key, uid=before.uid, node=NodeName("n1"))
        assert carried.done
        await let_through(FakeClient(api), old, gated=True, nominate=True, version=version)
        assert _term(api) == "1-new"

    _run(story())
