"""Which cluster a command asks, and as whom."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.kube.client import Access, load_access


@dataclass(frozen=True, slots=True)
class Asked:
    """A kubeconfig, a context of it, and the user to impersonate; None for what kubectl would take."""

    kubeconfig: str | None = None
    context: str | None = None
    user: str | None = None

    def load(self) -> Access:
        """How to reach it; raises NoAccess."""
        return load_access(kubeconfig=self.kubeconfig, context=self.context, user=self.user)
