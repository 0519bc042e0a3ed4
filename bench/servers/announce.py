"""What every server of the benchmark does alike: its arguments, its limits, its "ready" line."""

from __future__ import annotations

import argparse
import ctypes
import logging
import resource
import signal
import socket

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def parser(description: str) -> argparse.ArgumentParser:
    """Prepare the process, and give a parser that knows ``--port``."""
    # A benchmark that is killed takes its servers with it, the stopped ones too.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--port", type=int, default=0, help="0, the default: a free one")
    return arguments


def listen(port: int) -> socket.socket:
    """Open the listening socket, for servers that take one."""
    return socket.create_server(("127.0.0.1", port), backlog=1024)


def ready(port: int) -> None:
    """Tell the benchmark that connections are welcome on ``port``."""
    print(f"ready {port}", flush=True)
