"""One measured figure beside its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A value in its unit; the target is the most it may be, or with `least` the least."""

    name: str
    value: float
    unit: str
    target: float
    detail: str = ""
    least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.least else self.value <= self.target

    def row(self) -> tuple[str, str, str, str, str]:
        """Name, value, target, verdict, detail."""
        sign = ">=" if self.least else "<="
        unit = f" {self.unit}" if self.unit else ""
        verdict = "yes" if self.met else "NO"
        return self.name, f"{self.value:.3g}{unit}", f"{sign} {self.target:g}{unit}", verdict, self.detail
