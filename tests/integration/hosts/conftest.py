"""Servers that the tests of a module share, one process for each way to serve."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.hosts.servers import SERVERS, Hosted, Server, hosted

WAYS = [(name, False) for name in SERVERS] + [(name, True) for name in SERVERS if SERVERS[name].tls]


def on(able: Callable[[Server], bool], *, secure: bool | None = None) -> pytest.MarkDecorator:
    """Run a test on the servers that are able to, with TLS, without, or, by default, both."""
    # A group's tests run in one of pytest-xdist's processes, so that each server starts once.
    parameters = [
        pytest.param((name, tls), id=way, marks=pytest.mark.xdist_group(way))
        for name, tls in sorted(WAYS)
        for way in (f"{name}{' tls' if tls else ''}",)
        if able(SERVERS[name]) and secure in (None, tls)
    ]
    return pytest.mark.parametrize("server", parameters, indirect=True, scope="module")


everywhere = on(lambda _: True)


def installed(name: str) -> None:
    missing = SERVERS[name].missing
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate
) -> Iterator[Hosted]:
    """Give a server that several tests share; the parameter is ``(name, tls)``."""
    name, tls = request.param
    installed(name)
    directory = tmp_path_factory.mktemp("hosted")
    with hosted(name, directory, certificate if tls else None) as it:
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
