"""Servers that the tests of a module share, one process for each way to serve."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.hosts.servers import SERVERS, Hosted, hosted


def installed(name: str) -> None:
    """Skip where a server is missing; on the machines of CI that is a failure."""
    missing = SERVERS[name].missing
    if missing:
        outcome = pytest.fail if os.environ.get("CI") else pytest.skip
        outcome(f"needs {', '.join(missing)}")


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate
) -> Iterator[Hosted]:
    """Give a server that several tests share; the parameter is ``(name, tls)``.

    What the module calls ``CONFIG`` is the app's configuration.
    """
    name, tls = request.param
    installed(name)
    directory = tmp_path_factory.mktemp("hosted")
    config = getattr(request.module, "CONFIG", {})
    with hosted(name, directory, certificate if tls else None, **config) as it:
        yield it


@pytest.fixture
def start(tmp_path: Path, certificate) -> Iterator[Callable[..., Hosted]]:
    """Start a server for one test; ``tls=True`` and the app's configuration may follow."""
    with contextlib.ExitStack() as stack:

        def begin(name: str, *, tls: bool = False, options=(), **config) -> Hosted:
            installed(name)
            pair = certificate if tls else None
            return stack.enter_context(hosted(name, tmp_path, pair, options=options, **config))

        yield begin
