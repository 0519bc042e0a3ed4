"""What the benchmark runs in: virtual environments with the servers, and the C client."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise SetupError(f"{step} failed:\n{result.stdout.strip()[-4000:]}")
    return result.stdout


def _packages(*, plugins: bool) -> tuple[list[str], str]:
    """Give pip's arguments for the checkout, and a digest that changes when they do."""
    folders = [PROJECT]
    if plugins:
        folders += sorted(file.parent for file in PROJECT.glob("backends/*/pyproject.toml"))
    digest = hashlib.sha256(sys.version.encode())
    for folder in folders:
        digest.update((folder / "pyproject.toml").read_bytes())
    return [argument for folder in folders for argument in ("-e", str(folder))], digest.hexdigest()


def build(folder: Path, *, peers: bool, plugins: bool) -> Path:
    """Make or refresh a virtual environment; give its Python.

    The checkout is installed editable, so what is measured is always the working tree.
    Nothing is done when the requirements are those of the last time.

    Args:
        folder: where; removed and built anew when it is not what it should be.
        peers: whether the peers belong in it. Without them there is no ``websockets``
            and so no C routine for masking.
        plugins: whether the backends of the checkout's ``backends/`` do.
    """
    packages, digest = _packages(plugins=plugins)
    requirements = [*packages, *(PEERS if peers else ())]
    stamp = folder / "bench-requirements.json"
    wanted = json.dumps([digest, requirements])
    python = folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    print(f"building {folder.name} ...", file=sys.stderr, flush=True)
    if folder.exists():
        if not (folder / "pyvenv.cfg").is_file():
            raise SetupError(f"{folder} exists and is not a virtual environment")
        shutil.rmtree(folder)
    _run("creating the virtual environment", [sys.executable, "-m", "venv", folder])
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run("installing", [*pip, *requirements])
    stamp.write_text(wanted)
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
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "bench-client"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-o", str(program)]
    _run("compiling the client", [compiler, *flags, str(BENCH / "client.c")])
    return program
