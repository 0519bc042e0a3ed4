"""Find, load and check the plugins: backends by name, hosts all of them.

Names are listed without importing anything; only the backend that was chosen is
imported, and one that is broken never harms the others.
"""

from __future__ import annotations

import difflib
import threading
from importlib.metadata import EntryPoint, entry_points

import pluggy

from . import hookspecs
from .backend import INTERFACE_VERSION, Backend
from .exceptions import BackendError
from .hookspecs import hookimpl

__all__ = ["GROUP", "hookimpl", "installed_backends", "load_backend"]

GROUP = "flask_threaded_sockets.backends"

_manager = pluggy.PluginManager(hookspecs.PROJECT)
_manager.add_hookspecs(hookspecs)
_lock = threading.RLock()  # guards _manager and _loaded
_loaded: dict[str, Backend] = {}


def installed_backends() -> dict[str, EntryPoint]:
    """List the backends that are installed, by name, without importing them."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP))}


def load_backend(name: str) -> Backend:
    """Give the backend of this name, importing it at the first call; thread-safe.

    Args:
        name: the name of an entry point in the group ``flask_threaded_sockets.backends``.

    Raises:
        BackendError: there is none, or it cannot be used; says why and what to do.
    """
    with _lock:
        if name not in _loaded:
            _loaded[name] = _load(name)
        return _loaded[name]


def _load(name: str) -> Backend:
    installed = installed_backends()
    entry = installed.get(name)
    if entry is None:
        close = difflib.get_close_matches(name, installed, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ";"
        raise BackendError(
            f"unknown backend {name!r}{hint} installed: {', '.join(installed)}", backend=name
        )
    label = _label(entry)
    try:
        plugin = entry.load()
    except Exception as error:
        raise BackendError(f"{label} failed to import: {error}", backend=name) from error
    try:
        _manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise BackendError(f"{label} has a wrong hook: {error}", backend=name) from error
    return _obtain(plugin, name, label)


def _obtain(plugin: object, name: str, label: str) -> Backend:
    others = [other for other in _manager.get_plugins() if other is not plugin]
    results = _manager.subset_hook_caller("websocket_backend", others)()
    if len(results) != 1 or not isinstance(results[0], Backend):
        raise BackendError(
            f"{label} must have one hook websocket_backend() that returns a Backend, "
            f"it returned {results!r}",
            backend=name,
        )
    backend = results[0]
    if backend.interface_version > INTERFACE_VERSION:
        raise BackendError(
            f"{label} is made for interface version {backend.interface_version}, this is "
            f"{INTERFACE_VERSION}; upgrade flask-threaded-sockets",
            backend=name,
        )
    return backend


def _label(entry: EntryPoint) -> str:
    dist = entry.dist
    origin = f" ({dist.name} {dist.version})" if dist is not None else ""
    return f"backend {entry.name!r}{origin}"
