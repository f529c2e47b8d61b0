"""The image definition: what it installs is locked, and its last stage holds nothing that builds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "deploy" / "image"


def locked(path: Path) -> dict[str, set[str]]:
    """Versions by package; a lock for several Pythons may name two."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE):
        found.setdefault(name.lower(), set()).add(version)
    return found


def stages() -> list[list[str]]:
    lines = (IMAGE / "Dockerfile").read_text().splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def test_the_image_holds_every_dependency_in_the_versions_that_were_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["fast"], *extras["tracing"]]
    image, tested = locked(IMAGE / "requirements.lock"), locked(ROOT / "requirements-dev.lock")
    assert {re.split(r"[<>=]", one)[0].lower() for one in wanted} <= set(image)
    assert {name: versions for name, versions in image.items() if not versions <= tested[name]} == {}


def test_everything_that_is_locked_has_hashes() -> None:
    for file in ("requirements.lock", "build.lock"):
        text = (IMAGE / file).read_text()
        assert all(
            "--hash=sha256:" in part for part in re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
        )


def test_the_last_stage_runs_nothing_and_is_nobody() -> None:
    build, last = stages()
    assert any(line.startswith("RUN ") for line in build)
    assert not any(line.startswith(("RUN ", "ADD ", "SHELL ")) for line in last)
    assert "USER 65532:65532" in last
    (entry,) = (line for line in last if line.startswith("ENTRYPOINT "))
    assert entry.startswith('ENTRYPOINT ["'), "a shell form needs a shell"
