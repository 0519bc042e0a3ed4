"""Cases against a backend that never returns, and what a run leaves behind."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator

import pytest
from flask_threaded_sockets_conformance import runner
from flask_threaded_sockets_conformance.cases import all_cases
from flask_threaded_sockets_conformance.process import Child
from flask_threaded_sockets_conformance.server import Stack

from flask_threaded_sockets.backend import Connection, Upgrade
from flask_threaded_sockets.builtin import BuiltinBackend
from flask_threaded_sockets.codec import BuiltinProtocol, Role
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.plugins import register_backend, unregister_backend
from flask_threaded_sockets.transport import Transport

never = threading.Event()


class StuckConnection(ThreadedConnection):
    """Wait for ever in ``close()``, whoever calls it."""

    def close(
        self, code: int | None = 1000, reason: str = "", timeout: float | None = None
    ) -> None:
        never.wait()


class StuckBackend(BuiltinBackend):
    name = "stuck"

    def open(
        self, transport: Transport, upgrade: Upgrade, options: ConnectionOptions
    ) -> Connection:
        connection = StuckConnection(BuiltinProtocol(Role.SERVER), transport, options)
        connection.start(upgrade.early)
        return connection


@pytest.fixture
def stuck() -> Iterator[str]:
    """Register the backend; in the end its connections are let go."""
    register_backend(StuckBackend())
    yield StuckBackend.name
    never.set()
    unregister_backend(StuckBackend.name)


def test_backend_that_never_returns_fails_the_case_and_ends(
    stuck: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LONGEST", 2)
    stack = Stack(stuck)
    case = next(one for one in all_cases() if one.id == "concurrency.close-while-send-blocks")
    began = time.monotonic()
    outcome = runner.run_case(case, stack, patience=0.5)
    stack.stop()
    assert time.monotonic() - began < 60
    assert outcome.verdict == "failed"
    assert outcome.message.startswith(
        "the case did not end within 6.5 s: blocked in close (test_runner.py, line "
    )


def test_nothing_of_a_reloading_process_is_left() -> None:
    with tempfile.NamedTemporaryFile(suffix=".py") as watched:
        with Child("builtin", patience=30, reload=watched.name) as child:
            assert child.address
            # As after a SIGTERM to the parent alone, which leaves its child an orphan.
            child.process.kill()
            child.process.wait()
            os.killpg(child.process.pid, 0)
        # The streams end with the last process that has them.
        assert not any(reader.is_alive() for reader in child._readers)
