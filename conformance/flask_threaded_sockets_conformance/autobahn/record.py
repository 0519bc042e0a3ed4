"""The file that keeps verdicts, so that a run that was interrupted can go on."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flask_threaded_sockets.plugins import load_backend

from .verdict import AutobahnVerdict

__all__ = ["Record"]


class Record:
    """Keep the verdicts of one backend, one JSON text per line.

    Lines are only appended, each with one write, so that several processes can share it.

    Args:
        path: the file; made with the first verdict.
        backend: the backend's name. A verdict counts as long as the versions of what
            was judged and of what judged are the same.
    """

    def __init__(self, path: Path, backend: str) -> None:
        self._path = path
        self._versions = _versions(backend)

    def passed(self) -> dict[str, AutobahnVerdict]:
        """Give the cases whose last verdict needs no other run, by id."""
        verdicts: dict[str, AutobahnVerdict] = {}
        for kept in self._read():
            if kept.get("versions") == self._versions:
                verdict = AutobahnVerdict(**kept["verdict"])
                verdicts[verdict.case] = verdict
        return {case: verdict for case, verdict in verdicts.items() if verdict.passed}

    def _read(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        kept = []
        for line in lines:
            try:
                kept.append(json.loads(line))
            except ValueError:  # what an interrupted process had begun to write
                continue
        return kept

    def add(self, verdict: AutobahnVerdict) -> None:
        """Keep a verdict."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"versions": self._versions, "verdict": verdict.to_json()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _versions(backend: str) -> dict[str, str]:
    package = type(load_backend(backend)).__module__.partition(".")[0].replace("_", "-")
    versions = {}
    for name in ("flask-threaded-sockets", package, "kosoku"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a backend that is no distribution
            versions[name] = ""
    return versions
