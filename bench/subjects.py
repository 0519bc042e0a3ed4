"""The servers that can be measured, and how each of them is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import venvs
from processes import Subject
from scenarios import CROWD_PINGS

SERVERS = Path(__file__).resolve().parent / "servers"
PEERS = {
    "flask-sock": ("flask-sock", "peer_flask_sock.py"),
    "gevent": ("gevent-websocket", "peer_gevent.py"),
    "websockets": ("websockets (sync)", "peer_websockets_sync.py"),
    "uvicorn": ("uvicorn, uvloop", "peer_uvicorn.py"),
    "floor": ("floor: no parsing", "floor.py"),
}
DEFAULT = ("ours", *PEERS)
NAMES = f"ours, ours:BACKEND, {', '.join(PEERS)}"


def known(name: str) -> bool:
    """Tell whether a name given by the user is a server's; a backend's name shows later."""
    return name in DEFAULT or (name.startswith("ours:") and name != "ours:")


def pinging(subject: Subject) -> Subject:
    """Let our own server ping as the crowd needs it; others do as they do."""
    if not subject.name.startswith("ours"):
        return subject
    return replace(subject, command=(*subject.command, "--ping-interval", str(CROWD_PINGS)))


def build_subjects(
    names: Sequence[str], masking: str, cache: Path
) -> tuple[list[Subject], dict[str, str]]:
    """Build the environments; give the servers with their commands, and what is installed.

    Args:
        names: of servers, all of them known.
        masking: ``c``, ``pure`` or ``both``: with the C routine of an installed
            websockets, in an environment without it, or one server of each.
        cache: the folder of the environments.
    """
    plugins = any(name.startswith("ours:") for name in names)
    venvs.open_cache(cache)
    python = venvs.build(cache / "full", peers=True, plugins=plugins)
    interpreters = {"": python} if masking in ("c", "both") else {}
    if masking in ("pure", "both"):
        interpreters["pure"] = venvs.build(cache / "pure", peers=False, plugins=False)
    found: list[Subject] = []
    for name in names:
        if name in PEERS:
            label, script = PEERS[name]
            command = (str(python), str(SERVERS / script))
            found.append(Subject(name, label, command, raw=name == "floor"))
            continue
        backend = name.partition(":")[2]
        arguments = ("--backend", backend) if backend else ()
        for kind, interpreter in interpreters.items():
            remarks = ", ".join(filter(None, (backend, kind and "pure Python")))
            label = f"flask-threaded-sockets{f' ({remarks})' if remarks else ''}"
            command = (str(interpreter), str(SERVERS / "ours.py"), *arguments)
            found.append(Subject("-".join(filter(None, (name, kind))), label, command))
    return found, venvs.versions(python)
