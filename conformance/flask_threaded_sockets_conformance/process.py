"""A server in a process of its own, for what a signal or a reload does.

``python -m flask_threaded_sockets_conformance.process BACKEND`` serves until it is
stopped and tells what its handler sees, one JSON text per line.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Self

from flask import Flask
from werkzeug.serving import run_simple

from flask_threaded_sockets import Sockets, ThreadedWebsocketServer, WebSocket

from .arrivals import Mismatch

__all__ = ["IMPORT_VARIABLE", "Child"]

IMPORT_VARIABLE = "FLASK_SOCKETS_CONFORMANCE_IMPORT"
"""Names modules, separated by commas, that register backends; see ``--ws-import``."""


class Child:
    """Run a server process; a context manager.

    Args:
        backend: the backend's name.
        options: ``SOCKETS_*`` keys, in lower case and without the prefix.
        patience: seconds to wait for it.
        reload: path of a file; the process runs under Werkzeug's reloader and is
            started anew when the file changes.
    """

    def __init__(
        self,
        backend: str,
        options: dict[str, Any] | None = None,
        patience: float = 10.0,
        reload: str | None = None,
    ) -> None:
        arguments = [sys.executable, "-m", __name__, backend, json.dumps(options or {})]
        if reload is not None:
            arguments.append(reload)
        self._patience = patience
        self._lines: queue.Queue[str] = queue.Queue()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.pop("WERKZEUG_RUN_MAIN", None)
        environment.pop("WERKZEUG_SERVER_FD", None)
        self.process = subprocess.Popen(  # noqa: S603  (our own module)
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            process_group=0,
        )
        atexit.register(self.kill)
        self.errors: list[str] = []
        # Daemons: they end with the child's streams.
        self._readers = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101
        with self.process.stdout as stream:
            for line in stream:
                self._lines.put(line)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None  # noqa: S101
        with self.process.stderr as stream:
            self.errors.extend(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        atexit.unregister(self.kill)
        self.process.wait()
        for reader in self._readers:
            reader.join(self._patience)

    def kill(self) -> None:
        """Kill it, and with it a reloader's child, which its parent's end does not always end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def told(self, key: str) -> Any:
        """Wait until the child tells this and give its value.

        Raises:
            Mismatch: it does not.
        """
        deadline = time.monotonic() + self._patience
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                told = json.loads(self._lines.get(timeout=left))
                if key in told:
                    return told[key]
        raise Mismatch(f"the server process did not tell {key!r}: {''.join(self.errors)[-2000:]}")

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; waits until it does."""
        return ("127.0.0.1", int(self.told("port")))

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def gone_within(self, seconds: float) -> float:
        """Wait for its end and give the seconds it took.

        Raises:
            Mismatch: it is still there after so long.
        """
        began = time.monotonic()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Mismatch(f"the process is still there after {seconds:g} s") from None
        return time.monotonic() - began


def _tell(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def import_backends() -> None:
    """Import the modules that register backends without being installed."""
    for name in filter(None, os.environ.get(IMPORT_VARIABLE, "").split(",")):
        importlib.import_module(name)


def _app(backend: str, options: dict[str, Any]) -> Flask:
    app = Flask("child")
    for key, value in options.items():
        app.config[f"SOCKETS_{key.upper()}"] = value
    sockets = Sockets(app, backend=backend)

    @sockets.route("/wait")
    def wait(ws: WebSocket) -> None:
        ws.send("ready")
        _tell(received=ws.receive(), code=ws.close_code)

    @sockets.route("/push")
    def push(ws: WebSocket) -> None:
        ws.send("ready")
        while not ws.closed:
            time.sleep(0.01)
        _tell(closed=True, code=ws.close_code)

    @sockets.route("/busy")
    def busy(ws: WebSocket) -> None:
        ws.send("ready")
        time.sleep(60)

    return app


def _serve(app: Flask) -> None:
    server = ThreadedWebsocketServer("127.0.0.1", 0, app)
    _tell(port=server.port)
    server.serve_forever()


def _serve_with_reloader(app: Flask, watched: str) -> None:
    """Serve as ``flask run --debug`` does: with Werkzeug's own server."""
    if os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        # The reloader's own process listens, on a port that the system chose.
        with socket.socket(fileno=os.dup(int(os.environ["WERKZEUG_SERVER_FD"]))) as listener:
            _tell(port=listener.getsockname()[1])
    run_simple(
        "127.0.0.1",
        0,
        app,
        use_reloader=True,
        threaded=True,
        extra_files=[watched],
        reloader_interval=1,
        reloader_type="stat",
    )


def main() -> None:
    """Serve, as the command line says."""
    import_backends()
    app = _app(sys.argv[1], json.loads(sys.argv[2]))
    with contextlib.suppress(KeyboardInterrupt):
        if len(sys.argv) > 3:
            _serve_with_reloader(app, sys.argv[3])
        else:
            _serve(app)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
