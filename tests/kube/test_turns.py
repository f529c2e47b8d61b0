"""Who waits for whom, and that no turn is lost."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from scheduler.kube.turns import Turns


def test_a_small_gang_does_not_wait_for_all_of_a_large_one() -> None:
    async def test() -> list[str]:
        turns, done, go = Turns(2), list[str](), asyncio.Event()

        async def one(owner: str, name: str) -> None:
            async with turns.of(owner):
                await go.wait()
                done.append(name)

        tasks = [asyncio.create_task(one("large", f"large-{at}")) for at in range(50)]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(one("small", f"small-{at}")) for at in range(3)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks)
        return done

    done = asyncio.run(test())
    assert len(done) == 53
    assert max(done.index(f"small-{at}") for at in range(3)) < 10
    assert [name for name in done if name.startswith("large")] == [f"large-{at}" for at in range(50)]


def test_of_equal_gangs_one_after_the_other_is_complete() -> None:
    async def test() -> list[str]:
        turns, done, go = Turns(4), list[str](), asyncio.Event()

        async def one(owner: str) -> None:
            async with turns.of(owner):
                await go.wait()
                done.append(owner)

        tasks = [asyncio.create_task(one(f"gang-{gang}")) for gang in range(20) for _ in range(8)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks)
        return done

    done = asyncio.run(test())
    complete = [len(done) - 1 - done[::-1].index(f"gang-{gang}") for gang in range(20)]
    assert complete == sorted(complete)
    assert complete[0] < 20, "not all of them at the very end"
    assert complete[10] < 110


_ASKED = st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.none() | st.integers(0, 6))


@given(st.integers(1, 3), st.lists(_ASKED, max_size=30))
def test_no_turn_is_lost_and_none_is_given_twice(
    at_once: int, asked: list[tuple[str, int, int | None]]
) -> None:
    """Every request holds its turn for some steps of the loop; some are cancelled while they wait or hold."""

    async def test() -> int:
        turns, holding, most = Turns(at_once), 0, 0

        async def one(owner: str, steps: int) -> None:
            nonlocal holding, most
            async with turns.of(owner):
                holding += 1
                most = max(most, holding)
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    holding -= 1

        async def cancelled(task: asyncio.Task[None], after: int) -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()

        tasks = [asyncio.create_task(one(owner, steps)) for owner, steps, _ in asked]
        ends = [
            asyncio.create_task(cancelled(task, after))
            for task, (_, _, after) in zip(tasks, asked, strict=True)
            if after is not None
        ]
        await asyncio.wait_for(asyncio.gather(*tasks, *ends, return_exceptions=True), 5)
        assert holding == 0
        async with asyncio.timeout(5):  # as many as before can be had at once
            held = [turns.of("z") for _ in range(at_once)]
            for one_turn in held:
                await one_turn.__aenter__()
        assert not turns._free
        assert not turns._waiting
        return most

    assert asyncio.run(test()) <= at_once
