"""The WSGI servers whose sockets can be had, and the search for the one at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Host
from .werkzeug import WerkzeugHost

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["Host", "find_host", "supported_hosts"]

_hosts: list[Host] = [WerkzeugHost()]


def supported_hosts() -> list[str]:
    """Name the hosts, in the order in which they are asked."""
    return [host.name for host in _hosts]


def find_host(environ: WSGIEnvironment) -> Host | None:
    """Give the host a request came through, or ``None`` for an unknown one."""
    return next((host for host in _hosts if host.claims(environ)), None)
