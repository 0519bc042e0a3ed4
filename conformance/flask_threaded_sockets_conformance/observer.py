"""What an app and its process notice: log records, Flask's signals, threads, descriptors."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

from flask import Flask, appcontext_tearing_down, got_request_exception, request_finished

__all__ = ["AppEvents", "descriptors", "log_records"]


class AppEvents:
    """Count what Flask tells of one app.

    Args:
        app: the app.

    Attributes:
        exceptions: what ``got_request_exception`` was sent for.
        teardowns: how often a request's context was torn down.
        responses: the status codes of finished requests.
    """

    def __init__(self, app: Flask) -> None:
        self.exceptions: list[BaseException] = []
        self.teardowns = 0
        self.responses: list[int] = []
        self._lock = threading.Lock()  # guards the three above
        got_request_exception.connect(self._on_exception, app)
        appcontext_tearing_down.connect(self._on_teardown, app)
        request_finished.connect(self._on_finished, app)

    def _on_exception(self, _: Any, exception: BaseException, **__: Any) -> None:
        with self._lock:
            self.exceptions.append(exception)

    def _on_teardown(self, _: Any, **__: Any) -> None:
        with self._lock:
            self.teardowns += 1

    def _on_finished(self, _: Any, response: Any, **__: Any) -> None:
        with self._lock:
            self.responses.append(response.status_code)


class _Collector(logging.Handler):
    def __init__(self, level: int, records: list[logging.LogRecord]) -> None:
        super().__init__(level)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@contextlib.contextmanager
def log_records(level: int = logging.WARNING) -> Iterator[list[logging.LogRecord]]:
    """Collect what this process logs, from this level on."""
    records: list[logging.LogRecord] = []
    collector = _Collector(level, records)
    root = logging.getLogger()
    ours = logging.getLogger("flask_threaded_sockets")
    before = root.level, ours.level
    root.addHandler(collector)
    if level < logging.WARNING:
        ours.setLevel(level)
    try:
        yield records
    finally:
        root.removeHandler(collector)
        root.setLevel(before[0])
        ours.setLevel(before[1])


def descriptors() -> int:
    """Count this process's open file descriptors."""
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))
