"""Servers that the tests of a module share, one process for each way to serve."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.hosts.servers import SERVERS, Hosted, hosted


def installed(name: str) -> None:
    missing = SERVERS[name].missing
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


Shared = Callable[[str, bool], Hosted]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, certificate) -> Iterator[Shared]:
    """Give a running server of a name, plain or TLS; the same one for each test."""
    running: dict[tuple[str, bool], Hosted] = {}
    with contextlib.ExitStack() as stack:

        def get(name: str, tls: bool) -> Hosted:
            installed(name)
            if (name, tls) not in running:
                # One at a time: the machine is small.
                stack.close()
                running.clear()
                directory = tmp_path_factory.mktemp("hosted")
                it = hosted(name, directory, certificate if tls else None)
                running[name, tls] = stack.enter_context(it)
            return running[name, tls]

        yield get


@pytest.fixture
def server(request: pytest.FixtureRequest, shared: Shared) -> Iterator[Hosted]:
    """Give the server that the test is parametrised with, as ``(name, tls)``."""
    it = shared(*request.param)
    yield it
    it.hang_up()


@pytest.fixture
def start(tmp_path: Path, certificate) -> Iterator[Callable[..., Hosted]]:
    """Start a server for one test; ``tls=True`` and the app's configuration may follow."""
    with contextlib.ExitStack() as stack:

        def begin(name: str, *, tls: bool = False, options=(), **config) -> Hosted:
            installed(name)
            pair = certificate if tls else None
            return stack.enter_context(hosted(name, tmp_path, pair, options=options, **config))

        yield begin
