"""Traces: a small sample of each format, and what is said of files that are not as they should be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulate.traces import reading
from benchmarks.simulate.traces.job import Job, per_node
from benchmarks.simulate.traces.reading import Trace
from scheduler.model import InvalidInput

PLAIN = "id,submit_s,duration_s,pods,gpus_per_pod\n"

OPENB = """\
pod,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,gpu_spec33,qos,phase,create_s,scheduled_s,delete_s
p-1,6000,2,1,460,T4|P100,,LS,Running,7,9,29
"""
SACCT = """\
JobID|Submit|Start|End|AllocNodes|AllocTRES|Account|Priority|
77|2024-01-31T12:00:00|2024-01-31T12:05:00|2024-01-31T13:05:00|2|cpu=32,gres/gpu=16,mem=4G|lab|9|
77.batch|2024-01-31T12:00:00|2024-01-31T12:05:00|2024-01-31T13:05:00|1|cpu=32|lab|9|
"""

SAMPLES = {
    "kalos": (
        (
            "job_id,submit_s,duration_s,nodes,gpus_per_node,gpus,type,cpu_per_gpu,mem_gb_per_pod\n"
            "0,5,104,8,8,64,Pretrain,15,1000\n"
        ),
        Job("job-0", 0.0, 104.0, 8, 8, 1000, 120_000, 10**12, "Pretrain"),
    ),
    "philly": ("job_id,submit_s,duration_s,gpus,vc\n3,10,60,16,a1\n", Job("job-3", 0, 60, 2, 8, tenant="a1")),
    "openb": (
        OPENB,
        Job("p-1", 0, 20, 1, 1, 460, 6000, 2 << 20, "LS", products=("T4", "P100")),
    ),
    "plain": (
        "id,submit_s,duration_s,pods,gpus_per_pod,tenant,priority\na,1.5,2,3,4,team,-7\n",
        Job("a", 0, 2, 3, 4, tenant="team", priority=-7),
    ),
    "sacct": (
        SACCT,
        Job("77", 0, 3600, 2, 8, 1000, 16_000, 2 << 30, "lab", 9),
    ),
}


def read(folder: Path, format: str, text: str | bytes, *, skip_bad: bool = False) -> tuple[list[Job], Trace]:
    file = folder / "trace"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    trace = Trace(file, format, skip_bad=skip_bad)
    return list(trace.jobs()), trace


def seen(job: Job) -> Job:
    """The job without the place it stands at."""
    return Job(*(getattr(job, name) for name in Job.__slots__ if name != "where"))


@pytest.mark.parametrize("format", sorted(SAMPLES))
def test_each_format_gives_its_jobs(tmp_path: Path, format: str) -> None:
    text, expected = SAMPLES[format]
    jobs, _ = read(tmp_path, format, text)
    assert [seen(job) for job in jobs] == [expected]
    assert jobs[0].where.endswith("trace:2")


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    jobs, _ = read(tmp_path, "philly", gzip.compress(SAMPLES["philly"][0].encode()))
    assert [job.id for job in jobs] == ["job-3"]


def finished_pod(name: str, *, gang: str = "", created: str = "2024-01-31T12:00:00Z") -> dict[str, Any]:
    own = {"lockstep.scheduling/gang": gang, "lockstep.scheduling/gang-size": "2"} if gang else {}
    ended = {"terminated": {"exitCode": 0, "finishedAt": "2024-01-31T14:00:00+01:00"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "team", "creationTimestamp": created, "annotations": own},
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "m", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "4"}}}],
        },
        "status": {
            "phase": "Succeeded",
            "startTime": "2024-01-31T12:30:00Z",
            "containerStatuses": [{"name": "m", "state": ended}],
        },
    }


def test_pods_that_ran_become_gangs_whatever_their_zones(tmp_path: Path) -> None:
    pods = [finished_pod("a-0", gang="a"), finished_pod("b"), finished_pod("a-1", gang="a")]
    jobs, _ = read(tmp_path, "kubectl", json.dumps({"kind": "List", "apiVersion": "v1", "items": pods}))
    shapes = [(job.id, job.pods, job.gpus_per_pod, job.duration_s, job.tenant) for job in jobs]
    assert shapes == [("team/a", 2, 4, 1800.0, "team"), ("team/b", 1, 4, 1800.0, "team")]


def test_a_packed_history_reads_as_the_plain_one(tmp_path: Path) -> None:
    pods = [finished_pod("a-0", gang="a"), finished_pod("b")]
    text = json.dumps({"kind": "List", "apiVersion": "v1", "items": pods})
    plain, _ = read(tmp_path, "kubectl", text)
    packed, _ = read(tmp_path, "kubectl", gzip.compress(text.encode()))
    assert [job.id for job in packed] == [job.id for job in plain] == ["team/a", "team/b"]
    with pytest.raises(InvalidInput, match="a complete gzip file"):
        read(tmp_path, "kubectl", gzip.compress(text.encode())[:-9])


TIMES = "JobID|Submit|Start|End\n1|{0}|{1}|{2}\n"
PACKED = gzip.compress((PLAIN + "".join(f"j{at},{at},1,1,{at % 8}\n" for at in range(4000))).encode())
BROKEN = {
    "missing column": ("plain", "id,submit_s,pods\n", ":1", "column"),
    "column twice": ("plain", "id," + PLAIN, ":1", "column"),
    "negative duration": ("plain", PLAIN + "a,0,-1,1,1\n", ":2", "duration_s"),
    "end before start": (
        "sacct",
        TIMES.format("2024-01-31T12:00:00", "2024-01-31T12:05:00", "2024-01-31T12:04:00"),
        ":2",
        "duration",
    ),
    "mixed zones": (
        "sacct",
        TIMES.format("2024-01-31T12:00:00", "2024-01-31T12:05:00Z", "2024-01-31T13:04:00"),
        ":2",
        "Start",
    ),
    "never started": ("sacct", TIMES.format("2024-01-31T12:00:00", "Unknown", "Unknown"), ":2", "Start"),
    "absent time": (
        "openb",
        "pod,num_gpu,gpu_milli,create_s,scheduled_s,delete_s\np,1,1000,3,,9\n",
        ":2",
        "scheduled_s",
    ),
    "share above one": (
        "openb",
        "pod,num_gpu,gpu_milli,create_s,scheduled_s,delete_s\np,1,1001,3,4,9\n",
        ":2",
        "gpu_milli",
    ),
    "same id": ("plain", PLAIN + "a,0,1,1,1\nb,0,1,1,1\na,5,1,1,1\n", ":4", "id"),
    "no number": ("plain", PLAIN + "a,soon,1,1,1\n", ":2", "submit_s"),
    "not finite": ("plain", PLAIN + "a,inf,1,1,1\n", ":2", "submit_s"),
    "half a pod": ("plain", PLAIN + "a,0,1,1.5,1\n", ":2", "pods"),
    "no pod": ("plain", PLAIN + "a,0,1,0,1\n", ":2", "pods"),
    "short row": ("plain", PLAIN + "a,0,1\n", ":2", "pods"),
    "long row": ("plain", PLAIN + "a,0,1,1,1,9\n", ":2", "row"),
    "truncated gzip": ("plain", PACKED[: len(PACKED) // 2], ":", "file"),
    "uneven GPUs": (
        "sacct",
        "JobID|Submit|Start|End|AllocNodes|AllocTRES\n1|2024-01-31|2024-01-31|2024-01-31|2|gres/gpu=3\n",
        ":2",
        "AllocTRES",
    ),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_is_wrong_is_named_by_file_line_and_column(tmp_path: Path, name: str) -> None:
    format, text, line, column = BROKEN[name]
    with pytest.raises(InvalidInput) as error:
        read(tmp_path, format, text)
    fault = error.value.faults[0]
    assert fault.object.startswith(str(tmp_path / "trace"))
    assert line in fault.object
    assert fault.field == column
    assert fault.wanted


def test_bad_rows_are_counted_and_listed_when_that_is_asked_for(tmp_path: Path) -> None:
    text = PLAIN + "a,0,1,1,1\nb,0,-1,1,1\na,0,1,1,1\nc,1,1,1\nd,2,1,1,1\n"
    jobs, trace = read(tmp_path, "plain", text, skip_bad=True)
    assert [job.id for job in jobs] == ["a", "d"]
    assert [where.rsplit(":", 1)[1] for where, _ in trace.excluded] == ["3", "4", "5"]
    jobs, trace = read(tmp_path, "plain", PACKED[: len(PACKED) // 2], skip_bad=True)
    assert 0 < len(jobs) < 4000
    assert len(trace.excluded) == 1
    with pytest.raises(InvalidInput, match="column"):
        read(tmp_path, "plain", "id\n", skip_bad=True)


def test_jobs_come_by_time_within_a_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WINDOW", 2)
    jobs, _ = read(tmp_path, "plain", PLAIN + "a,9,1,1,1\nb,3,1,1,1\nc,5,1,1,1\nd,11,1,1,1\n")
    assert [(job.id, job.submit_s) for job in jobs] == [("b", 0), ("c", 2), ("a", 6), ("d", 8)]
    late = PLAIN + "a,7,1,1,1\nb,8,1,1,1\nc,9,1,1,1\nd,1,1,1,1\ne,0,1,1,1\n"
    with pytest.raises(InvalidInput, match="too late"):
        read(tmp_path, "plain", late)


@pytest.mark.parametrize(
    ("gpus", "shape"), [(1, (1, 1)), (8, (1, 8)), (12, (2, 6)), (13, (13, 1)), (128, (16, 8))]
)
def test_a_number_of_gpus_becomes_the_fewest_equal_pods(gpus: int, shape: tuple[int, int]) -> None:
    assert per_node(gpus) == shape


def test_rows_left_out_are_listed_up_to_a_limit_and_counted_past_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_LISTED", 3)
    text = PLAIN + "a,0,1,1,1\n" + "b,x,1,1,1\n" * 5 + "c,1,1,1,1\n"
    jobs, trace = read(tmp_path, "plain", text, skip_bad=True)
    assert ([job.id for job in jobs], len(trace.excluded), trace.unlisted) == (["a", "c"], 3, 2)
