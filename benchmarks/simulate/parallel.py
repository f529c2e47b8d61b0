"""The same work for many inputs, on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def spread(
    work: Callable[[Given], Found], items: Sequence[Given], *, workers: int = 0
) -> Iterator[tuple[int, Found]]:
    """(index, result) of every item as it is done, in processes of their own; one worker stays in this
    one. `workers` 0: one per core. What the work raises is raised here."""
    count = min(workers or cores(), len(items))
    if count <= 1:
        yield from ((at, work(item)) for at, item in enumerate(items))
        return
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(work, item): at for at, item in enumerate(items)}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
