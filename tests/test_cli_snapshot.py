"""What `lockstep snapshot` leaves out, and that nothing it keeps is lost."""

from __future__ import annotations

from scheduler.cli.snapshotting import redacted

POD = {
    "kind": "Pod",
    "metadata": {
        "name": "llama-0",
        "labels": {"env": "prod", "data": "kept", "image": "kept"},
        "annotations": {
            "lockstep.scheduling/gang": "llama",
            "kubectl.kubernetes.io/last-applied-configuration": '{"env": "hunter2"}',
        },
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "nodeName": "n1",
        "imagePullSecrets": [{"name": "registry-password"}],
        "volumes": [{"secret": {"secretName": "hunter2"}}],
        "containers": [
            {
                "name": "main",
                "image": "registry.example/hunter2",
                "command": ["sh", "-c", "echo hunter2"],
                "args": ["--password=hunter2"],
                "env": [{"name": "PASSWORD", "value": "hunter2"}],
                "resources": {"limits": {"nvidia.com/gpu": "8"}},
            }
        ],
    },
}


def test_what_may_hold_a_secret_is_left_out_at_any_depth() -> None:
    nested = {"kind": "JobSet", "spec": {"replicatedJobs": [{"template": {"spec": {"template": POD}}}]}}
    for found in (redacted(POD), redacted(nested)):
        assert "hunter2" not in str(found) and "registry-password" not in str(found)


def test_what_decides_is_kept() -> None:
    found = redacted(POD)
    assert found["metadata"]["labels"] == POD["metadata"]["labels"]  # type: ignore[index]
    assert found["metadata"]["annotations"] == {"lockstep.scheduling/gang": "llama"}
    assert found["spec"] == {
        "nodeName": "n1",
        "containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "8"}}}],
    }
