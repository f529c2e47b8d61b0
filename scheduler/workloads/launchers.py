"""What launchers and NCCL are told in a pod: how many nodes and ranks, and which links to leave alone.

None of it says where pods go; it is compared with what the gang is, and what does not go together is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from scheduler.containers import Container
from scheduler.devices import gpus_of
from scheduler.model import Parallelism, Pod
from scheduler.workloads.parallelism import engine_of, plain, value_of, words_of

_NODES = ("--nnodes", "--num-nodes", "trainer.num_nodes")
"""How many nodes (pods) an engine is told of: by vLLM, SGLang and torchrun, DeepSpeed, NeMo."""

_EACH = ("--nproc-per-node", "--num-gpus", "trainer.devices")
"""How many ranks on each of them: by torchrun, DeepSpeed, NeMo."""

_RANKS = ("--world-size",)
"""How many ranks in all: by Triton's launcher."""

_MPI = ("mpirun", "mpiexec", "mpiexec.hydra", "orterun")
_MPI_RANKS = ("-n", "-np", "--np", "-c")
_LOCAL = ("--data-parallel-size-local", "-dpl")
_DP = ("--data-parallel-size", "--dp-size", "--dp")
_TP = ("--tensor-parallel-size", "--tp-size", "--tp")


class World(NamedTuple):
    """How many ranks a launcher starts in all, and the words that say so, with their container."""

    ranks: int
    said: str


class Setting(NamedTuple):
    """One word of a command line with its value as a number, of a range the most; None where that cannot be
    known. `least`: of a range (torchrun's 1:4) the least, else the number."""

    word: str
    number: int | None
    least: int | None


def nodes_of(pod: Pod) -> int:
    """The pods that an engine is told to run over, 1 when it is told nothing or nothing that can be read."""
    return span_of(pod)[1]


def span_of(pod: Pod) -> tuple[int, int]:
    """The fewest and the most pods that an engine is told to run over: two numbers where it is elastic."""
    found = (_setting(container, pod, _NODES) for container in pod.containers)
    spans = [(one.least or 1, one.number) for one in found if one is not None and one.number]
    return max(spans, key=lambda span: span[1], default=(1, 1))


def world_of(pod: Pod) -> World | None:
    """The ranks that a launcher of the pod is told to start over all pods; None when that is not said."""
    return next((world for container in pod.containers if (world := _world(container, pod))), None)


def _world(container: Container, pod: Pod) -> World | None:
    name = f"container {container.name}"
    whole = _setting(container, pod, _RANKS) or _of_mpi(container, pod)
    if whole is not None:
        return World(whole.number, f"{name}: {whole.word} {whole.number}") if whole.number else None
    each, nodes = (_setting(container, pod, words) for words in (_EACH, _NODES))
    if each is None or not each.number:
        return None
    count = nodes.number if nodes is not None else 1
    if not count or (nodes is not None and nodes.least != count):
        return None
    before = f"{nodes.word} {count} x " if nodes is not None else ""
    return World(count * each.number, f"{name}: {before}{each.word} {each.number}")


def _of_mpi(container: Container, pod: Pod) -> Setting | None:
    words = words_of(container)
    start = next((at for at, word in enumerate(words) if word.rpartition("/")[2] in _MPI), None)
    if start is None:
        return None
    for at in range(start + 1, len(words) - 1):
        if words[at] in _MPI_RANKS:
            number = value_of(words[at + 1], container, pod)
            count = number if isinstance(number, int) else None
            return Setting(f"mpirun {words[at]}", count, count)
    return None


@lru_cache(maxsize=4096)
def _written(container: Container) -> Mapping[str, tuple[str, str]]:
    """Every setting of a command line, as it is written and its text, by its plain form; the last counts."""
    words = words_of(container)
    found: dict[str, tuple[str, str]] = {}
    for at, word in enumerate(words):
        written, equals, value = word.partition("=")
        text = value if equals else words[at + 1] if at + 1 < len(words) else ""
        found[plain(written).lstrip("+")] = (written, text)
    return found


def _setting(container: Container, pod: Pod, words: tuple[str, ...]) -> Setting | None:
    """The number of the first of some words that is there."""
    for word in words:
        if word in _written(container):
            written, text = _written(container)[word]
            ends = [value_of(part, container, pod) for part in text.split(":")]
            least, most = (end if isinstance(end, int) else None for end in (ends[0], ends[-1]))
            return Setting(written, most, least)
    return None


def doubts_of(pod: Pod, sizes: Parallelism) -> Iterator[str]:
    """What a pod's containers are told that does not go with its GPUs or with its own parallel sizes."""
    gpus = gpus_of(pod.shape)
    for container in pod.containers:
        where = f"{pod.name} container {container.name}"
        yield from _links(container, where, sizes.tensor or 1, gpus)
        yield from _local(container, pod, where, sizes, gpus)
        yield from _attention(container, pod, where)


def _links(container: Container, where: str, tensor: int, gpus: int) -> Iterator[str]:
    """NVLink that NCCL is told not to use, although tensor parallelism leans on it."""
    env = {name: value.strip() for name, value in container.env if name.startswith("NCCL_")}
    if env.get("NCCL_P2P_DISABLE", "0") not in ("", "0") and tensor > 1:
        yield f"{where}: NCCL_P2P_DISABLE={env['NCCL_P2P_DISABLE']} keeps tp {tensor} from using NVLink"
    if tensor <= gpus or not gpus:
        return
    across = f"tp {tensor} spans pods of {gpus} GPUs"
    if env.get("NCCL_NVLS_ENABLE") == "0":
        yield f"{where}: NCCL_NVLS_ENABLE=0 turns reductions inside NVLink switches off, but {across}"
    for name in ("NCCL_MNNVL_ENABLE", "NCCL_CUMEM_ENABLE"):
        if env.get(name) == "0":
            yield f"{where}: {name}=0 turns NVLink between nodes off, but {across}"


def _local(container: Container, pod: Pod, where: str, sizes: Parallelism, gpus: int) -> Iterator[str]:
    """vLLM's replicas in each pod, each with its own tensor-parallel group and stages, need its GPUs."""
    local = _setting(container, pod, _LOCAL)
    if local is None or not local.number or not gpus or not sizes.tensor:
        return
    each = sizes.tensor * (sizes.pipeline or 1)
    if local.number * each > gpus and each <= gpus:
        told = f"{local.word} {local.number} x tp {sizes.tensor} x pp {sizes.pipeline or 1}"
        yield f"{where}: {told} = {local.number * each} ranks in a pod; it has {gpus} GPUs"
    whole = _setting(container, pod, _DP)
    if whole is not None and whole.number and whole.number % local.number:
        yield f"{where}: {local.word} {local.number} does not divide {whole.word} {whole.number}"


def _attention(container: Container, pod: Pod, where: str) -> Iterator[str]:
    """SGLang's data-parallel attention lies inside the tensor-parallel group, so that it divides it."""
    if engine_of(container, words_of(container)) != "sglang":
        return
    inside = "--enable-dp-attention" in _written(container)
    dp, tp = (_setting(container, pod, words) for words in (_DP, _TP))
    if inside and dp and tp and dp.number and tp.number and tp.number % dp.number:
        told = f"{dp.word} {dp.number} with --enable-dp-attention"
        yield f"{where}: {told} does not divide {tp.word} {tp.number}"
