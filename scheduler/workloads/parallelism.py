"""Tensor, pipeline, data and expert parallel sizes from the engine's own settings in a pod.

Read are the environment and the command line of every container, also inside
`sh -c "..."`. A value that is a variable is looked up; one that cannot be
resolved leaves the size unknown, and a literal that is not a size is a fault.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from scheduler.model import Container, InvalidField, InvalidInput, Parallelism, Pod
from scheduler.workloads.family import LARGEST
from scheduler.workloads.keys import LWS

_ENVIRONMENT = {
    "NIM_TENSOR_PARALLEL_SIZE": "tp",
    "NIM_PIPELINE_PARALLEL_SIZE": "pp",
    "NIM_DATA_PARALLEL_SIZE": "dp",
    "TENSOR_PARALLEL_SIZE": "tp",
    "PIPELINE_PARALLEL_SIZE": "pp",
}
_FLAGS = {
    "--tensor-parallel-size": "tp",
    "--pipeline-parallel-size": "pp",
    "--data-parallel-size": "dp",
    "--expert-parallel-size": "ep",
    "--tp-size": "tp",
    "--pp-size": "pp",
    "--dp-size": "dp",
    "--ep-size": "ep",
    "--tp_size": "tp",
    "--pp_size": "pp",
    "--ep_size": "ep",
}
"""Flags that mean one thing whichever engine reads them: vLLM, SGLang, TensorRT-LLM."""

_ENGINE_FLAGS = {
    "vllm": {"-tp": "tp", "-pp": "pp", "-dp": "dp"},
    "sglang": {"--tp": "tp", "--pp": "pp", "--dp": "dp", "--ep": "ep"},
    "trtllm": {"--tp": "tp", "--pp": "pp", "--ep": "ep"},
}
"""Short flags, which only the engine's own name makes clear."""

_ENGINE_WORDS = {
    "vllm": ("vllm",),
    "sglang": ("sglang",),
    "trtllm": ("trtllm", "tensorrt"),
}
_NOT_REPLICAS = {"sglang": ("dp",)}
"""SGLang's data parallel attention runs inside the tensor-parallel group: it multiplies nothing."""

_VARIABLE = re.compile(r"\$\((\w+)\)|\$\{(\w+)\}|\$(\w+)")
_SHELLS = ("sh", "bash", "ash", "dash")
_FIELDS = {"tp": "tensor", "pp": "pipeline", "dp": "data", "ep": "expert"}


def of_pod(pod: Pod) -> Parallelism:
    """The sizes that the pod's containers state, with where each stands; raises InvalidInput.

    Two containers that state different sizes contradict each other.
    """
    found: dict[str, tuple[int, str]] = {}
    faults: list[InvalidField] = []
    for container in pod.containers:
        for short, text, where in _statements(container):
            value = _value(text, container, pod)
            if value is None:
                continue
            source = f"container {container.name}: {where}"
            if isinstance(value, str):
                wanted = f"a whole number from 1 to {LARGEST}"
                faults.append(InvalidField(pod.name, source, value, wanted))
            elif short in found and found[short][0] != value:
                wanted = f"{found[short][0]}, as {found[short][1]} says"
                faults.append(InvalidField(pod.name, source, str(value), wanted))
            else:
                found.setdefault(short, (value, source))
    if faults:
        raise InvalidInput(*faults)
    sizes = {_FIELDS[short]: value for short, (value, _) in found.items()}
    return Parallelism(**sizes, sources=tuple((short, where) for short, (_, where) in found.items()))


def _statements(container: Container) -> Iterator[tuple[str, str, str]]:
    """(size, text of its value, where it stands), first the command line, then the environment."""
    words = list(_words(container))
    engine = _engine(container, words)
    flags = _FLAGS | _ENGINE_FLAGS.get(engine, {})
    dropped = _NOT_REPLICAS.get(engine, ())
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        short = flags.get(flag)
        if short is None or short in dropped:
            continue
        if equals:
            yield short, value, flag
        elif at + 1 < len(words):
            yield short, words[at + 1], flag
    for name, value in container.env:
        if name in _ENVIRONMENT:
            yield _ENVIRONMENT[name], value, f"env {name}"


def _words(container: Container) -> Iterator[str]:
    """The command line, with what stands in a shell's script split into its words."""
    line = (*container.command, *container.args)
    scripted = any(word.rsplit("/", 1)[-1] in _SHELLS for word in container.command[:2]) or any(
        word in ("-c", "-lc", "-ec") for word in line
    )
    for word in line:
        if scripted and (" " in word or "\n" in word):
            yield from _split(word)
        else:
            yield word


def _split(script: str) -> Iterable[str]:
    """Words of a script; where quotes do not close, at white space."""
    text = script.replace("\\\n", " ").replace(";", " ; ").replace("\n", " ; ")
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _engine(container: Container, words: list[str]) -> str:
    text = " ".join((*words, container.image)).lower()
    found = [name for name, signs in _ENGINE_WORDS.items() if any(sign in text for sign in signs)]
    return found[0] if len(found) == 1 else next((n for n in found if n in container.image.lower()), "")


def _value(text: str, container: Container, pod: Pod) -> int | str | None:
    """The number; the text itself when it is a literal that is none; None for an unknown variable."""
    env = dict(container.env)
    if LWS + "size" in pod.annotations:
        env.setdefault("LWS_GROUP_SIZE", pod.annotations[LWS + "size"])
    for _ in range(3):
        if "$" not in text:
            break
        text = _VARIABLE.sub(lambda m: env.get(next(filter(None, m.groups())), m.group()), text)
    if "$" in text or "`" in text:
        return None
    text = text.strip().strip("'\"")
    if text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= LARGEST:
        return int(text)
    return text
