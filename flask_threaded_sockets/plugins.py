"""Load, check, register and block plugins: a backend by name, hosts all of them.

Only the backend that was chosen is imported, and one that is broken never harms the
others. Built-in ones come the same way as everybody's.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

import pluggy

from . import hookspecs
from .backend import INTERFACE_VERSION, Backend
from .discovery import Installed, installed_backends, installed_hosts, unknown_backend_text
from .exceptions import BackendError
from .hookspecs import hookimpl
from .host import Host

__all__ = [
    "backend_names",
    "block_backend",
    "check_backend",
    "hookimpl",
    "hosts",
    "load_backend",
    "register_backend",
    "register_host",
    "unblock_backend",
    "unregister_backend",
    "unregister_host",
]

logger = logging.getLogger("flask_threaded_sockets")

_OURS: Final = "flask-threaded-sockets"

_manager = pluggy.PluginManager(hookspecs.PROJECT)
_manager.add_hookspecs(hookspecs)
_lock = threading.RLock()  # guards all of the module's state
_loaded: dict[str, Backend] = {}
_registered: dict[str, Backend] = {}
_hosts: list[Host] | None = None


def backend_names() -> list[str]:
    """Name the backends that may be chosen: installed or registered, and not blocked."""
    with _lock:
        names = {*installed_backends(), *_registered}
        return sorted(name for name in names if not _manager.is_blocked(_plugin_name(name)))


def register_backend(backend: Backend) -> None:
    """Make a backend known in this process, without packaging; for tests and scripts.

    Args:
        backend: its ``name`` is what it is chosen by; it comes before an installed one
            of the same name.

    Raises:
        BackendError: it is not a usable backend.
    """
    check_backend(backend)
    with _lock:
        _registered[backend.name] = backend


def check_backend(backend: Backend) -> None:
    """Check a backend object that was not installed.

    Raises:
        BackendError: it cannot be used; says why.
    """
    name = getattr(backend, "name", None)
    if not (isinstance(backend, Backend) and isinstance(name, str)):
        raise BackendError(f"{backend!r} is not a Backend with a name", backend=str(name))
    _check(backend, f"backend {name!r} (registered in process)", name)


def unregister_backend(name: str) -> None:
    """Forget a backend that :func:`register_backend` made known; harmless if there is none."""
    with _lock:
        _registered.pop(name, None)


def block_backend(name: str) -> None:
    """Let a backend not be chosen in this process any more, e.g. for a security reason."""
    with _lock:
        _loaded.pop(name, None)
        _manager.set_blocked(_plugin_name(name))


def unblock_backend(name: str) -> None:
    """Take :func:`block_backend` back."""
    with _lock:
        if _manager.is_blocked(_plugin_name(name)):
            _manager.unblock(_plugin_name(name))


def load_backend(name: str) -> Backend:
    """Give the backend of this name, importing it at the first call; thread-safe.

    Args:
        name: what the backend was installed or registered as.

    Raises:
        BackendError: there is none, or it cannot be used; says why and what to do.
    """
    with _lock:
        if _manager.is_blocked(_plugin_name(name)):
            raise BackendError(
                f"backend {name!r} is blocked in this process; choose one of "
                f"{', '.join(backend_names())} or call unblock_backend({name!r})",
                backend=name,
            )
        backend = _registered.get(name) or _loaded.get(name)
        if backend is None:
            backend = _loaded[name] = _load(name)
        return backend


def _plugin_name(backend: str) -> str:
    return f"backend {backend}"


def _load(name: str) -> Backend:
    entries = installed_backends().get(name, [])
    if not entries:
        raise BackendError(unknown_backend_text(name, backend_names()), backend=name)
    if len(entries) > 1:
        origins = " and ".join(item.origin for item in entries)
        raise BackendError(
            f"backend {name!r} is claimed by two distributions, {origins}; "
            f"pip uninstall one of them",
            backend=name,
        )
    item = entries[0]
    label = f"backend {name!r} ({item.origin})"
    plugin = _import(item, label)
    _add(plugin, _plugin_name(name), label, name)
    try:
        others = [other for other in _manager.get_plugins() if other is not plugin]
        return _obtain(_manager.subset_hook_caller("websocket_backend", others), label, name)
    except BackendError:
        _manager.unregister(plugin)
        raise


def _import(item: Installed, label: str) -> Any:
    try:
        return item.entry.load()
    except ModuleNotFoundError as error:
        remedy = f"; to install what it needs: pip install --upgrade {item.distribution}"
        raise BackendError(
            f"{label} failed to import: {error}{remedy}", backend=item.name
        ) from error
    except Exception as error:
        raise BackendError(
            f"{label} failed to import: {type(error).__name__}: {error}; "
            f"another version of {item.distribution} may do",
            backend=item.name,
        ) from error


def _add(plugin: Any, plugin_name: str, label: str, backend: str) -> None:
    """Register a plugin with pluggy, which compares its hooks with the specification."""
    try:
        _manager.register(plugin, plugin_name)
        _manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        if _manager.is_registered(plugin):
            _manager.unregister(plugin)
        cause = str(error).replace("\n", " ")
        raise BackendError(
            f"{label} has a wrong hook: {cause}; the hooks are those of "
            f"flask_threaded_sockets.hookspecs",
            backend=backend,
        ) from error


def _obtain(hook: Any, label: str, name: str) -> Backend:
    try:
        results = hook()
    except Exception as error:
        raise BackendError(
            f"{label} failed in its hook websocket_backend: {type(error).__name__}: {error}",
            backend=name,
        ) from error
    if len(results) != 1 or not isinstance(results[0], Backend):
        got = "nothing" if not results else repr(results[0])
        raise BackendError(
            f"{label} has no hook websocket_backend that returns a Backend, but {got}; mark "
            f"it with flask_threaded_sockets.hookimpl",
            backend=name,
        )
    _check(results[0], label, name)
    return results[0]


def _check(backend: Backend, label: str, name: str) -> None:
    made_for = backend.interface_version
    if made_for != INTERFACE_VERSION:
        older = made_for < INTERFACE_VERSION
        raise BackendError(
            f"{label} is made for interface version {made_for}, this is {INTERFACE_VERSION}; "
            f"upgrade {'the backend' if older else _OURS}",
            backend=name,
        )
    if getattr(backend, "name", None) != name:
        raise BackendError(
            f"{label} calls itself {getattr(backend, 'name', None)!r}; its name and its "
            f"entry point's must be the same",
            backend=name,
        )


def hosts() -> list[Host]:
    """Give the known hosts, in the order in which they are asked: the newest plugin first.

    A host's plugin that is broken is left out, with a warning.
    """
    global _hosts
    with _lock:
        if _hosts is None:
            for item in installed_hosts():
                _add_host(item)
            _hosts = [host for host in _manager.hook.websocket_host() if isinstance(host, Host)]
        return _hosts


def _add_host(item: Installed) -> None:
    try:
        _manager.register(item.entry.load(), f"host {item.name} of {item.distribution}")
        _manager.check_pending()
    except Exception as error:
        logger.warning("host %r (%s) is left out: %s", item.name, item.origin, error)


def register_host(plugin: Any) -> None:
    """Make a host known in this process, without packaging.

    Args:
        plugin: a module or object with the hook ``websocket_host``.

    Raises:
        ValueError: it is registered already, or its hook is wrong.
    """
    global _hosts
    with _lock:
        hosts()
        _manager.register(plugin)
        _manager.check_pending()
        _hosts = [host for host in _manager.hook.websocket_host() if isinstance(host, Host)]


def unregister_host(plugin: Any) -> None:
    """Forget what :func:`register_host` made known."""
    global _hosts
    with _lock:
        _manager.unregister(plugin)
        _hosts = [host for host in _manager.hook.websocket_host() if isinstance(host, Host)]
