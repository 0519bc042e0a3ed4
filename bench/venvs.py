"""What the benchmark runs in: virtual environments with the servers, and the C client."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BENCH = Path(__file__).resolve().parent
PROJECT = BENCH.parent
CACHE = PROJECT / ".venv-bench"

# flask-sock is pinned because the targets are ratios to it; the others are the newest.
PEERS = (
    "flask-sock==0.7.0",
    "simple-websocket",
    "gevent",
    "gevent-websocket",
    "uvicorn",
    "uvloop",
    "websockets",
)


class SetupError(Exception):
    """The environment could not be built; the text says which step, and its output."""


def _run(step: str, command: Sequence[str | Path]) -> str:
    # A group of its own: pip has children, and all of them end with us.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output = process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise SetupError(f"{step} failed:\n{output.strip()[-4000:]}")
    return output


def _packages(*, plugins: bool) -> tuple[list[str], str]:
    """Give pip's arguments for the checkout, and a digest that changes when they do."""
    folders = [PROJECT]
    if plugins:
        folders += sorted(file.parent for file in PROJECT.glob("backends/*/pyproject.toml"))
    digest = hashlib.sha256()
    for folder in folders:
        digest.update((folder / "pyproject.toml").read_bytes())
    return [argument for folder in folders for argument in ("-e", str(folder))], digest.hexdigest()


def open_cache(folder: Path) -> None:
    """Make the cache folder, or see that it is one: only what we made is ever deleted.

    Raises:
        SetupError: it holds something else.
    """
    tag = folder / "CACHEDIR.TAG"
    if not tag.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SetupError(f"{folder} is in the way: it is not a cache of this benchmark")
        folder.mkdir(parents=True, exist_ok=True)
        tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n")


def build(folder: Path, *, peers: bool, plugins: bool) -> Path:
    """Make or refresh a virtual environment; give its Python.

    The checkout is installed editable, so what is measured is always the working tree.
    Nothing is done when the requirements are those of the last time.

    Args:
        folder: where, in the cache.
        peers: whether the peers belong in it. Without them there is no ``websockets``
            and so no C routine for masking.
        plugins: whether the backends of the checkout's ``backends/`` do.
    """
    packages, digest = _packages(plugins=plugins)
    requirements = [*packages, *(PEERS if peers else ())]
    python = folder / "bin" / "python"
    stamp = folder / "bench-requirements.json"
    with open(folder.parent / "lock", "w") as lock:  # of a build at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = json.loads(stamp.read_text()) if stamp.is_file() else [None, None, None]
        if installed == [sys.version, digest, requirements]:
            return python
        print(f"building {folder.name} environment ...", file=sys.stderr, flush=True)
        # Without a stamp a build was cut short; what it left is of no use.
        if installed[0] == sys.version:
            stamp.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)
            _run("creating the virtual environment", [sys.executable, "-m", "venv", folder])
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run("installing", [*pip, *requirements])
        stamp.write_text(json.dumps([sys.version, digest, requirements]))
    return python


def versions(python: Path) -> dict[str, str]:
    """Give what is installed there, by distribution."""
    code = (
        "import importlib.metadata as m, json, platform;"
        "d = {x.metadata['Name']: x.version for x in m.distributions()};"
        "print(json.dumps({'Python': platform.python_version(), **d}))"
    )
    found: dict[str, str] = json.loads(_run("listing versions", [python, "-c", code]))
    return found


def compile_client(folder: Path) -> Path:
    """Compile ``client.c`` into ``folder``; give the program."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise SetupError("the client needs a C compiler: none of $CC, cc, gcc is there")
    program = folder / "client"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-o", str(program)]
    _run("compiling the client", [compiler, *flags, str(BENCH / "client.c")])
    return program
