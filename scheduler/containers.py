"""A container as far as engines read their parallelism from it, and what ConfigMaps add to its environment.

As the kubelet does it: what is named one by one counts more than what comes with a whole ConfigMap, and
of two whole ones the later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple


class Reference(NamedTuple):
    """A `variable` that a ConfigMap gives, or with an empty one every key of it, each after `prefix`.

    Without a name of a ConfigMap the value stands where nobody looks: in a Secret, or a field of the pod.
    `why`: what hindered reading it.
    """

    variable: str
    config_map: str = ""
    key: str = ""
    prefix: str = ""
    optional: bool = False
    why: str = ""


class Given(NamedTuple):
    """A variable that was read from a ConfigMap, and the key it has there."""

    variable: str
    config_map: str
    key: str

    def __str__(self) -> str:
        return f"ConfigMap {self.config_map}, key {self.key}"


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """What a ConfigMap says; `data` is None where there is none, or where `why` says why it was not read."""

    data: Mapping[str, str] | None = None
    why: str = ""


Find = Callable[[str], ConfigMap | None]
"""A ConfigMap by name, in the namespace of the pod; None while nobody has looked."""


@dataclass(frozen=True, slots=True)
class Container:
    """What an engine reads its parallelism from.

    `references`: what of the environment the pod leaves to ConfigMaps; `given`: which of `env` came from
    there; `unread`: what did not.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    unread: tuple[Reference, ...] = ()
    references: tuple[Reference, ...] = ()
    given: tuple[Given, ...] = ()


def filled(container: Container, find: Find) -> Container:
    """The container with what ConfigMaps say now, whatever they said before."""
    if not container.references:
        return container
    before = {one.variable for one in container.given}
    own = {name: value for name, value in container.env if name not in before}
    found: dict[str, tuple[str, Given]] = {}
    unread: list[Reference] = []
    hidden = {one.variable for one in container.references if one.variable} | own.keys()
    for reference in container.references:
        at_hand = find(reference.config_map) if reference.config_map else ConfigMap(why="it is no ConfigMap")
        if at_hand is None or at_hand.why:
            unread.append(reference._replace(why=at_hand.why if at_hand else ""))
        elif reference.variable:
            unread += _named(reference, at_hand, found)
        else:
            unread += _whole(reference, at_hand, found, hidden)
    return replace(
        container,
        env=(*own.items(), *((name, value) for name, (value, _) in found.items())),
        given=tuple(given for _, given in found.values()),
        unread=tuple(unread),
    )


def _named(
    reference: Reference, config_map: ConfigMap, found: dict[str, tuple[str, Given]]
) -> Iterator[Reference]:
    value = (config_map.data or {}).get(reference.key)
    if value is not None:
        given = Given(reference.variable, reference.config_map, reference.key)
        found[reference.variable] = (value, given)
    elif not reference.optional:
        why = "there is none" if config_map.data is None else f"it has no key {reference.key}"
        yield reference._replace(why=why)


def _whole(
    reference: Reference, config_map: ConfigMap, found: dict[str, tuple[str, Given]], hidden: set[str]
) -> Iterator[Reference]:
    for key, value in (config_map.data or {}).items():
        name = reference.prefix + key
        if name not in hidden:
            found[name] = (value, Given(name, reference.config_map, key))
    if config_map.data is None and not reference.optional:
        yield reference._replace(why="there is none")
