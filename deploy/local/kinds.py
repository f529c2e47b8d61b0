"""Kinds of other projects in the API: with their own CRD where a Go module has it, else with an open one."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.local.api import Object, load_documents
from deploy.local.build import SCHEMAS, manifests_of


def real_crds() -> list[Object]:
    """The released CRDs of Kubeflow's training jobs, Trainer v2, ServiceMonitor and PrometheusRule, fetching
    them if no one has."""
    modules = dict.fromkeys(module for module, _ in SCHEMAS.manifests)
    files = [file for module in modules for file in manifests_of(SCHEMAS, module)]
    return load_documents([one for file in files for one in load_documents(file)])


def open_crd(
    *, group: str, versions: Sequence[str], kind: str, plural: str, namespaced: bool = True
) -> Object:
    """A CRD whose schema admits every object: for kinds whose controller is not available here.

    `versions`, the stored one first, are all the same.
    """
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = [
        {
            "name": version,
            "served": True,
            "storage": version == versions[0],
            "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
        }
        for version in versions
    ]
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # The API server asks for a word on CRDs under the community's own domains.
            "annotations": {"api-approved.kubernetes.io": "unapproved, an open schema for tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": names,
            "versions": served,
        },
    }
