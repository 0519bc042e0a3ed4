"""The hooks a plugin may implement; each is one documented function.

A plugin is a module or an object with functions marked by
``flask_threaded_sockets.plugins.hookimpl``. Hooks only ever gain arguments, and pluggy
hands an implementation just those it names, so an old plugin goes on working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .backend import Backend
    from .host import Host

__all__ = ["PROJECT", "hookimpl", "hookspec", "websocket_backend", "websocket_host"]

PROJECT = "flask_threaded_sockets"

hookspec = pluggy.HookspecMarker(PROJECT)

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of the same name."""


@hookspec
def websocket_backend() -> Backend | None:
    """Provide a protocol backend; called once, when an app chooses it by name.

    Returns:
        The backend object, the same for the whole process; its ``name`` is that of the
        entry point in the group ``flask_threaded_sockets.backends``.
    """


@hookspec
def websocket_host() -> Host | None:
    """Provide the knowledge of a WSGI server: how to take its socket and give it back.

    Returns:
        The host object, the same for the whole process.
    """
