"""Little distributions on the path of a new interpreter, found as an installed one is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

__all__ = ["BACKEND", "install", "run_python"]

# A module with a backend that opens nothing; `{name}` is filled in.
BACKEND = """
    from flask_threaded_sockets import hookimpl
    from flask_threaded_sockets.backend import Backend

    class Little(Backend):
        name = "{name}"

        def open(self, transport, upgrade, options):
            raise NotImplementedError

    @hookimpl
    def websocket_backend():
        return Little()
"""


def install(
    site: Path,
    distribution: str,
    entry_points: Mapping[str, str],
    modules: Mapping[str, str],
    *,
    version: str = "1.0",
    group: str = "flask_threaded_sockets.backends",
) -> None:
    """Write a distribution's metadata and modules where an interpreter will look.

    Args:
        site: the directory, to be on the interpreter's path.
        distribution: its name.
        entry_points: name -> value.
        modules: name -> source, which is dedented.
        version: its version.
        group: of the entry points.
    """
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entry_points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for name, source in modules.items():
        (site / f"{name}.py").write_text(dedent(source))


def run_python(
    site: Path, *arguments: str | Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with ``site`` on its path, in that directory."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=site,
        env={**own, "PYTHONPATH": str(site), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
