"""Parallel sizes that stand where Lockstep does not look: files, profiles, ConfigMaps that are not read.

They are told, so that a gang without known sizes is never one whose sizes were passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.containers import Container, Reference
from scheduler.devices import gpus_of
from scheduler.model import Parallelism, Pod
from scheduler.workloads.parallelism import engine_of, is_size_flag, is_size_variable, plain, words_of

_FILES = {
    "vllm": ("--config",),
    "sglang": ("--config",),
    "trtllm": ("--extra-llm-api-options", "--config"),
}
"""Flags by which an engine takes its settings from a file of the container."""

_PROFILE = "NIM_MODEL_PROFILE"
_CURE = "state them as `lockstep.scheduling/tensor-parallel` and its like"


def unknown_of(pod: Pod, sizes: Parallelism) -> Iterator[str]:
    """Where a GPU pod's sizes may stand unread, when its tensor-parallel size is not known."""
    if sizes.tensor is not None or not gpus_of(pod.shape):
        return
    for container in pod.containers:
        where = f"{pod.name} container {container.name}"
        for place in (*_files(container), *_maps(container)):
            yield f"{where}: {place}, so that parallel sizes stated there are not known; {_CURE}"
        for word in container.command + container.args:
            yield from _glued(word, container, where)


def _files(container: Container) -> Iterator[str]:
    words = words_of(container)
    flags = _FILES.get(engine_of(container, words), ())
    for at, word in enumerate(words):
        written, equals, value = word.partition("=")
        if plain(written) in flags:
            file = value if equals else words[at + 1] if at + 1 < len(words) else ""
            yield f"{written} {file} is a file of the container, which is not read"
    profile = dict(container.env).get(_PROFILE)
    if profile:
        yield f"{_PROFILE}={profile} chooses a profile of the image, which is not read"


def _maps(container: Container) -> Iterator[str]:
    """ConfigMaps taken whole, and those of a variable that states a size."""
    for reference in container.unread:
        why = f" ({reference.why})" if reference.why else ""
        if not may_size(reference, container):
            continue
        name = reference.config_map
        if not reference.variable:
            yield f"envFrom ConfigMap {name} is not read{why}"
        else:
            yield f"env {reference.variable} comes from ConfigMap {name}, which is not read{why}"


def may_size(reference: Reference, container: Container) -> bool:
    """Whether what a ConfigMap gives can be the size of anything: it is one, or the command line names it."""
    variable = reference.variable
    if not reference.config_map or not variable:
        return bool(reference.config_map)
    line = (*container.command, *container.args, *(value for _, value in container.env))
    return is_size_variable(variable) or any("$" in word and variable in word for word in line)


def maps_of(pod: Pod) -> Iterator[str]:
    """The ConfigMaps, by name, that can tell a pod with GPUs its sizes."""
    if any(container.references for container in pod.containers) and gpus_of(pod.shape):
        for container in pod.containers:
            for reference in container.references:
                if may_size(reference, container):
                    yield reference.config_map


def _glued(word: str, container: Container, where: str) -> Iterator[str]:
    """A flag and its value in one item of the list reach the engine as one word, which is no flag of its."""
    flag = word.split(maxsplit=1)[0] if word.strip() else ""
    if flag != word and word in words_of(container) and is_size_flag(flag.partition("=")[0], container):
        yield f"{where}: {word!r} is one item of its command line and so no flag; give each word its own item"
