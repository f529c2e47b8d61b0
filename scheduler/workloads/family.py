"""What every workload family offers: how one of its pods says which gang it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from scheduler.model import InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.known import Known

LARGEST = 100_000
"""More pods than any cluster has: a larger number is a typing error."""

T = TypeVar("T")


class Family(Protocol):
    """One file per family implements this."""

    name: str

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """What a pod says of its gang; None when it is not of this family. Raises InvalidInput."""


def whole(
    values: Mapping[str, str], key: str, *, owner: str, least: int = 1, most: int = LARGEST
) -> int | None:
    """A whole number from a label or annotation, None when it is not there; raises InvalidInput."""
    text = values.get(key)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or not least <= int(text[:9]) <= most or len(text) > 9:
        wanted = f"a whole number from {least} to {most}"
        raise InvalidInput(InvalidField(owner, key, text, wanted))
    return int(text)


def attempt(faults: list[InvalidField], read: Callable[[], T]) -> T | None:
    """What `read` gives; None when it raises InvalidInput, whose faults join `faults`."""
    try:
        return read()
    except InvalidInput as error:
        faults.extend(error.faults)
        return None
