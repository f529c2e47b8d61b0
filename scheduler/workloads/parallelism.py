"""Tensor, pipeline, data and expert parallel sizes from the engine's own settings in a pod.

Read are the environment and the command line of every container, also inside
`sh -c "..."`. A value that is a variable is looked up; one that cannot be
resolved leaves the size unknown, and a literal that is not a size is a fault.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from scheduler.containers import Container
from scheduler.model import InvalidField, InvalidInput, Parallelism, Pod, PodKey, PodShape
from scheduler.workloads.family import LARGEST
from scheduler.workloads.keys import LWS

FIELDS = {"tp": "tensor", "pp": "pipeline", "dp": "data", "ep": "expert"}
"""The fields of `Parallelism` by the short words of people."""

_ENVIRONMENT = {
    "NIM_TENSOR_PARALLEL_SIZE": "tp",
    "NIM_PIPELINE_PARALLEL_SIZE": "pp",
    "NIM_DATA_PARALLEL_SIZE": "dp",
    "NIM_EXPERT_PARALLEL_SIZE": "ep",
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
    "--num-shard": "tp",
    "--tensor-model-parallel-size": "tp",
    "--pipeline-model-parallel-size": "pp",
    "--expert-model-parallel-size": "ep",
}
"""Flags that mean one thing whichever engine reads them. Written with - here: vLLM takes _ as well,
TensorRT-LLM only _."""

_SETTINGS = {
    "tensor_model_parallel_size": "tp",
    "pipeline_model_parallel_size": "pp",
    "expert_model_parallel_size": "ep",
}
"""NeMo's settings, written as `model.tensor_model_parallel_size=8`."""

_ENGINE_FLAGS = {
    "vllm": {"-tp": "tp", "-pp": "pp", "-dp": "dp"},
    "sglang": {"--tp": "tp", "--pp": "pp", "--dp": "dp", "--ep": "ep"},
    "trtllm": {"--tp": "tp", "--pp": "pp", "--ep": "ep"},
}
"""Short flags, which only the engine's own name makes clear."""

_ENGINE_ENVIRONMENT = {"tgi": {"NUM_SHARD": "tp"}}
_ENGINE_WORDS = {
    "vllm": ("vllm",),
    "sglang": ("sglang",),
    "trtllm": ("trtllm", "tensorrt"),
    "tgi": ("text-generation-",),
}
_EXPERTS_EVERYWHERE = "--enable-expert-parallel"
"""vLLM's switch: experts are spread over all ranks of a layer, TP x DP."""

_DATA_INSIDE_TENSOR = "--enable-dp-attention"
"""SGLang's switch: data parallel attention runs inside the tensor-parallel group and multiplies nothing."""

_VARIABLE = re.compile(r"\$\((\w+)\)|\$\{(\w+)(?::?-([^}$]*))?\}|\$(\w+)")
_OPERATORS = re.compile(r"[;&|<>]+")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_SHELLS = ("sh", "bash", "ash", "dash", "zsh")
_DEEPEST = 3  # shells inside shells


_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=([^\s=]+)")


class _Statement(NamedTuple):
    """What is said of one size: its text, where, and what the same flag said before, if anything else."""

    short: str
    text: str
    where: str
    before: str = ""


def of_pod(pod: Pod, *, known: Collection[str] = ()) -> Parallelism:
    """The sizes that the pod's containers state, with where each stands; raises InvalidInput.

    `known` are sizes (tp, pp, dp, ep) stated elsewhere, which are not looked for. Two containers
    that state different sizes contradict each other.
    """
    found = _remembered(pod.containers, pod.annotations.get(LWS + "size", ""), tuple(known))
    return _of_pod(pod, known=known) if found is None else found  # a fault names its pod


@lru_cache(maxsize=4096)
def _remembered(containers: tuple[Container, ...], size: str, known: tuple[str, ...]) -> Parallelism | None:
    """The sizes of all pods with equal containers, read once; None where there are faults to tell."""
    annotations = {LWS + "size": size} if size else {}
    one = Pod(PodKey("", ""), "", PodShape(()), annotations=annotations, containers=containers)
    try:
        return _of_pod(one, known=known)
    except InvalidInput:
        return None


def _of_pod(pod: Pod, *, known: Collection[str]) -> Parallelism:
    found: dict[str, tuple[int, str]] = {}
    faults: list[InvalidField] = []
    unknown: dict[str, str] = {}
    for container in pod.containers:
        unclear: set[str] = set()
        for short, text, where, before in _statements(container):
            source = f"container {container.name}: {where}{_origin(where, text, container)}"
            value = value_of(text, container, pod)
            if value is None:
                unclear.add(short)
                unknown.setdefault(short, f"{source} is {text}, which only the running container knows")
            if short in known or value is None:
                continue
            if isinstance(value, str):
                wanted = f"a whole number from 1 to {LARGEST}"
                faults.append(InvalidField(pod.name, source, value, wanted))
            elif short in found and found[short][0] != value:
                wanted = f"{found[short][0]}, as {found[short][1]} says"
                faults.append(InvalidField(pod.name, source, str(value), wanted))
            else:
                twice = f" (given twice: first {before}, then {text}; the last one counts)" if before else ""
                found.setdefault(short, (value, source + twice))
        if not unclear & {"tp", "dp"} and not {"ep", "tp", "dp"} & set(known):
            _experts(found, container)
    if faults:
        raise InvalidInput(*faults)
    sizes = {FIELDS[short]: value for short, (value, _) in found.items()}
    sources = {short: where for short, where in unknown.items() if short not in known}
    sources |= {short: where for short, (_, where) in found.items()}
    return Parallelism(**sizes, sources=tuple(sources.items()))


def _origin(where: str, text: str, container: Container) -> str:
    """Which ConfigMap says it, where one does: of the variable itself, or of those that the text names."""
    if not container.given:
        return ""
    names = {where.removeprefix("env "), *(name for match in _VARIABLE.findall(text) for name in match)}
    said = [(one.variable, str(one)) for one in container.given if one.variable in names]
    return "".join(
        f" ({name} from {told})" if f"env {name}" != where else f" ({told})" for name, told in said
    )


def _experts(found: dict[str, tuple[int, str]], container: Container) -> None:
    """The expert-parallel size that follows from vLLM's switch, when a size says how many ranks there are."""
    if "ep" in found or not {"tp", "dp"} & found.keys() or _EXPERTS_EVERYWHERE not in _flags_of(container):
        return
    ranks = found.get("tp", (1, ""))[0] * found.get("dp", (1, ""))[0]
    found["ep"] = (ranks, f"container {container.name}: {_EXPERTS_EVERYWHERE} (tp x dp)")


def _flags_of(container: Container) -> set[str]:
    return {plain(word) for word in words_of(container)}


@lru_cache(maxsize=4096)
def _statements(container: Container) -> tuple[_Statement, ...]:
    """What is said of each size: on the command line, where the last word counts, and in the environment.

    The pods of a gang mostly have equal containers, so these are read once.
    """
    words = words_of(container)
    engine = engine_of(container, words)
    flags = _FLAGS | _ENGINE_FLAGS.get(engine, {})
    said: dict[str, _Statement] = {}
    for at, word in enumerate(words):
        written, equals, value = word.partition("=")
        short = flags.get(plain(written)) or (_setting(written) if equals else None)
        if short is None:
            continue
        text = value if equals else words[at + 1] if at + 1 < len(words) else ""
        earlier = said.get(short)
        before = earlier.text if earlier and earlier.text != text else ""
        said[short] = _Statement(short, text, written, before)
    if engine == "sglang" and any(plain(word) == _DATA_INSIDE_TENSOR for word in words):
        said.pop("dp", None)
    environment = _ENVIRONMENT | _ENGINE_ENVIRONMENT.get(engine, {})
    stated = (
        _Statement(environment[name], value, f"env {name}")
        for name, value in container.env
        if name in environment and value
    )
    return (*said.values(), *stated)


def is_size_flag(flag: str, container: Container) -> bool:
    """Whether a flag states a size to the engine of the container."""
    flags = _FLAGS | _ENGINE_FLAGS.get(engine_of(container, words_of(container)), {})
    return plain(flag) in flags


def is_size_variable(name: str) -> bool:
    """Whether an environment variable states a size to some engine."""
    return name in _ENVIRONMENT or any(name in one for one in _ENGINE_ENVIRONMENT.values())


def _setting(written: str) -> str | None:
    """What a setting of NeMo says, such as `model.tensor_model_parallel_size` or `++a.b`."""
    return None if written.startswith("-") else _SETTINGS.get(written.lstrip("+").rpartition(".")[2])


def plain(flag: str) -> str:
    """A flag as it stands in the tables; vLLM and TensorRT-LLM also write it with underscores."""
    return flag.replace("_", "-") if flag.startswith("--") else flag


@lru_cache(maxsize=4096)
def words_of(container: Container) -> tuple[str, ...]:
    """The command line, with what stands in a shell's script split into its words."""
    return tuple(_unfolded((*container.command, *container.args), _DEEPEST))


def _unfolded(line: Iterable[str], depth: int) -> Iterator[str]:
    words = tuple(line)
    scripted = any(word.rsplit("/", 1)[-1] in _SHELLS for word in words) or "-c" in words
    for word in words:
        if scripted and depth and any(space in word for space in " \n\t"):
            yield from _unfolded(_split(word), depth - 1)
        else:
            yield word


def _split(script: str) -> Iterable[str]:
    """Words of a script; where quotes do not close, at white space."""
    text = _COMMENT.sub("", script).replace("\\\n", " ").replace("\n", " ; ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:
        return _OPERATORS.sub(" ; ", text).split()


def engine_of(container: Container, words: Sequence[str]) -> str:
    text = " ".join((*words, container.image)).lower()
    found = [name for name, signs in _ENGINE_WORDS.items() if any(sign in text for sign in signs)]
    return found[0] if len(found) == 1 else next((n for n in found if n in container.image.lower()), "")


def value_of(text: str, container: Container, pod: Pod) -> int | str | None:
    """The number; the text itself when it is a literal that is none; None for an unknown variable."""
    if "$" not in text and "`" not in text:
        return _number(text)
    env = {**dict(container.env), **_assigned(container)}
    if LWS + "size" in pod.annotations:
        env.setdefault("LWS_GROUP_SIZE", pod.annotations[LWS + "size"])
    for _ in range(3):
        if "$" not in text:
            break
        text = _VARIABLE.sub(lambda match: _looked_up(match, env), text)
    if "$" in text or "`" in text:
        return None
    return _number(text)


@lru_cache(maxsize=4096)
def _assigned(container: Container) -> Mapping[str, str]:
    """Variables that a script sets itself, as in `export TP=8; vllm serve -tp $TP`."""
    found = (_ASSIGNMENT.fullmatch(word) for word in words_of(container))
    return {match[1]: match[2] for match in found if match}


def _number(text: str) -> int | str:
    text = text.strip().strip("'\"")
    if text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= LARGEST:
        return int(text)
    return text


def _looked_up(match: re.Match[str], env: dict[str, str]) -> str:
    """A variable's value, else its default (`${NAME:-8}`), else the variable as it stands."""
    round_name, curly_name, default, plain_name = match.groups()
    value = env.get(round_name or curly_name or plain_name)
    return value or default or match.group()
