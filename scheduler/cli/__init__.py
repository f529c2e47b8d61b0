"""The commands. Every module below loads only when its command runs."""

from scheduler.cli.main import main

__all__ = ["main"]
