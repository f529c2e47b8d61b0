"""`lockstep serve`."""

from __future__ import annotations

import asyncio
import logging
import sys

from scheduler.app import serve as run
from scheduler.cli.exits import BAD_INPUT, OUR_ERROR, YES
from scheduler.cli.output import complain
from scheduler.config import load_config
from scheduler.kube.client import NoAccess, load_access
from scheduler.texts import OneLine

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def serve(*, config: str | None, kubeconfig: str | None, context: str | None, verbose: int) -> int:
    """Run until told to stop; the exit code."""
    handler = logging.StreamHandler(sys.stderr)
    form = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"
    handler.setFormatter(OneLine(form, datefmt="%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=_LEVELS[min(max(verbose, 0), 2)], handlers=[handler])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    configured = load_config(config)
    try:
        access = load_access(kubeconfig=kubeconfig, context=context)
    except NoAccess as error:
        complain(str(error))
        return BAD_INPUT
    try:
        asyncio.run(run(configured, access))
    except OSError as error:
        complain(f"{configured.service.address}:{configured.service.port}: {error.strerror or error}")
        return OUR_ERROR
    return YES
