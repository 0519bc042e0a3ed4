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


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


# Two, as one module may have both hooks, and pluggy registers nothing twice.
_manager = _new_manager()
_host_manager = _new_manager()
_lock = threading.RLock()  # guards all of the module's state
_loaded: dict[str, Backend] = {}
_registered: dict[str, Backend] = {}
_hosts: list[Host] | None = None
_host_of: dict[int, Host] = {}  # by the id of a plugin, which pluggy keeps alive


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
        return _obtain(_own_hook(_manager, "websocket_backend", plugin), label, name)
    except BackendError:
        _manager.unregister(plugin)
        raise


def _own_hook(manager: pluggy.PluginManager, hook: str, plugin: Any) -> pluggy.HookCaller:
    """Give a hook that asks this plugin only."""
    return manager.subset_hook_caller(hook, (p for p in manager.get_plugins() if p is not plugin))


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
    if _manager.is_registered(plugin):
        raise BackendError(
            f"{label} loads the same object as {_manager.get_name(plugin)}; each entry point "
            f"needs a module or object of its own",
            backend=backend,
        )
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
        older = isinstance(made_for, int) and made_for < INTERFACE_VERSION
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
            found: list[Host] = []
            for item in installed_hosts():
                try:
                    host = _add_host(item.entry.load(), f"host {item.name} of {item.distribution}")
                except Exception as error:
                    logger.warning("host %r (%s) is left out: %s", item.name, item.origin, error)
                else:
                    found.insert(0, host)
            _hosts = found
        return _hosts


def _add_host(plugin: Any, plugin_name: str | None = None) -> Host:
    """Register a host's plugin and give its host; leaves nothing behind where it raises."""
    if _host_manager.is_registered(plugin):
        raise ValueError(f"{plugin!r} is registered already")
    try:
        _host_manager.register(plugin, plugin_name)
        _host_manager.check_pending()
        results = _own_hook(_host_manager, "websocket_host", plugin)()
        if len(results) != 1 or not isinstance(results[0], Host):
            got = "nothing" if not results else repr(results[0])
            raise ValueError(f"no hook websocket_host that returns a Host, but {got}")
    except Exception:
        if _host_manager.is_registered(plugin):
            _host_manager.unregister(plugin)
        raise
    host: Host = results[0]
    _host_of[id(plugin)] = host
    return host


def register_host(plugin: Any) -> None:
    """Make a host known in this process, without packaging; it is asked before the others.

    Args:
        plugin: a module or object with the hook ``websocket_host``.

    Raises:
        ValueError: it is registered already, or gives no host.
        pluggy.PluginValidationError: its hook is not as specified.
    """
    global _hosts
    with _lock:
        _hosts = [_add_host(plugin), *hosts()]


def unregister_host(plugin: Any) -> None:
    """Forget what :func:`register_host` made known; harmless if it did not."""
    global _hosts
    with _lock:
        if _host_manager.is_registered(plugin):
            _host_manager.unregister(plugin)
            gone = _host_of.pop(id(plugin))
            _hosts = [host for host in hosts() if host is not gone]
