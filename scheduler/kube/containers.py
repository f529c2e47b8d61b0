"""From containers on the wire to what engines are told in them."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.containers import Container, Reference
from scheduler.kube import structs


def containers_of(spec: structs.PodSpec) -> tuple[Container, ...]:
    """The containers of a pod, with what they take from ConfigMaps by name."""
    return tuple(_container(one) for one in spec.containers or ())


def _container(one: structs.ContainerSpec) -> Container:
    references = tuple(_references(one))
    if not any(reference.config_map for reference in references):
        references = ()
    elsewhere = {reference.variable for reference in references}
    return Container(
        name=one.name,
        image=one.image or "",
        command=tuple(one.command or ()),
        args=tuple(one.args or ()),
        env=tuple(
            (var.name, var.value)
            for var in one.env or ()
            if var.value is not None and var.name not in elsewhere
        ),
        unread=references,
        references=references,
    )


def _references(container: structs.ContainerSpec) -> Iterator[Reference]:
    """What of the environment stands elsewhere, in the order in which it counts."""
    for source in container.env_from or ():
        whole = source.config_map_ref
        if whole is not None:
            yield Reference("", whole.name, prefix=source.prefix or "", optional=bool(whole.optional))
    last = {var.name: var for var in container.env or ()}
    for var in last.values():
        if var.value is not None or var.value_from is None:
            continue
        one = var.value_from.config_map_key_ref
        if one is None:
            yield Reference(var.name)
        else:
            yield Reference(var.name, one.name, one.key, optional=bool(one.optional))
