"""Who may talk to the local control plane: identities, tokens, keys and kubeconfig files."""

from __future__ import annotations

import base64
import csv
import secrets
from pathlib import Path
from typing import Any

import yaml

# The lockstep token is the service account of rbac.yaml, so it has exactly the rights that are shipped.
_ACCOUNT = "system:serviceaccount:lockstep-system:lockstep"
_IDENTITIES = {
    "admin": ("admin", "system:masters"),
    "lockstep": (_ACCOUNT, "system:serviceaccounts,system:serviceaccounts:lockstep-system"),
    "viewer": ("viewer", ""),
    "scheduler": ("system:kube-scheduler", ""),
    # It acts for many controllers; with one token for all of them it needs all their rights.
    "controller-manager": ("system:kube-controller-manager", "system:masters"),
}

VIEWER_BINDINGS: list[dict[str, Any]] = [
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"local-viewer-{role}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}],
    }
    for role in ("view", "lockstep-viewer")
]


def write_tokens(file: Path) -> dict[str, str]:
    """Write the API server's token file; returns a fresh token for each identity."""
    tokens = {identity: secrets.token_hex(16) for identity in _IDENTITIES}
    file.touch(mode=0o600)
    with file.open("w", encoding="utf-8", newline="") as output:
        rows = csv.writer(output)
        for identity, (user, groups) in _IDENTITIES.items():
            rows.writerow(
                [tokens[identity], user, user, groups] if groups else [tokens[identity], user, user]
            )
    return tokens


def write_signing_key(file: Path) -> None:
    """Write a new P-256 key in PEM for signing service account tokens.

    The standard library makes no keys, but this one is 32 random bytes in a
    fixed frame: SEQUENCE {1, OCTET STRING, [0] prime256v1}, RFC 5915, with the
    public key left out, which readers then compute.
    """
    scalar = bytes([secrets.randbelow(127) + 1]) + secrets.token_bytes(31)  # surely below the curve's order
    frame = bytes.fromhex("3031020101 0420") + scalar + bytes.fromhex("a00a 0608 2a8648ce3d030107")
    body = base64.encodebytes(frame).decode()
    label = "EC PRIVATE KEY"
    file.touch(mode=0o600)
    file.write_text(f"-----BEGIN {label}-----\n{body}-----END {label}-----\n", encoding="ascii")


def write_kubeconfig(file: Path, *, url: str, ca_file: Path, identity: str, token: str) -> None:
    """Write a kubeconfig that needs no other file."""
    authority = base64.b64encode(ca_file.read_bytes()).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": identity, "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": identity}}],
        "current-context": "local",
    }
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
