"""What the answers have in common."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, description="Seconds.")]
Milliseconds = Annotated[float, Meta(ge=0, description="Milliseconds.")]
FullName = Annotated[str, Meta(description="namespace/name")]
Stale = Annotated[str, Meta(description="Why this may not be true any more, or not be all.", min_length=1)]


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Base of what we answer: no key that is not named."""
