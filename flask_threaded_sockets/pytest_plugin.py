"""The pytest plugin: the fixture ``websocket_server``, and nothing unless it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .liveserver import LiveServer

__all__ = ["websocket_server"]


@pytest.fixture
def websocket_server() -> Iterator[Callable[..., LiveServer]]:
    """Serve an app on a port of its own until the test is over.

    Call it with the app: ``live = websocket_server(app)``, then ``live.url("/page")`` and
    ``live.ws_url("/socket")``. Further arguments are those of ``LiveServer``. Every server
    is stopped at the end, its clients closed with 1001.
    """
    running: list[LiveServer] = []

    def serve(*args: object, **options: object) -> LiveServer:
        running.append(LiveServer(*args, **options))  # type: ignore[arg-type]
        return running[-1]

    yield serve
    for live in running:
        live.stop()
