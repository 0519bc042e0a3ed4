"""The WebSocket rules of an app as a map of their own, as the original package had it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from flask import Flask
from werkzeug.routing import Map

__all__ = ["rules_of"]


class _Rules(Map):
    """Refuse what would be without effect on the app."""

    is_complete = False

    def add(self, rulefactory: Any) -> None:
        if self.is_complete:
            self._refuse()
        super().add(rulefactory)

    def _refuse(self) -> NoReturn:
        raise TypeError("url_map is a copy of the app's rules, add routes with sockets.route")


def rules_of(app: Flask, is_meant: Callable[[str], bool]) -> Map:
    """Copy rules of an app into a map, to be iterated, bound and matched.

    Args:
        app: the app.
        is_meant: tells by an endpoint whether its rules are wanted.
    """
    origin = app.url_map
    rules = _Rules(
        default_subdomain=origin.default_subdomain,
        strict_slashes=origin.strict_slashes,
        merge_slashes=origin.merge_slashes,
        redirect_defaults=origin.redirect_defaults,
        converters=origin.converters,
        host_matching=origin.host_matching,
    )
    for rule in origin.iter_rules():
        if rule.websocket and is_meant(rule.endpoint):
            copy = rule.empty()
            copy.websocket, copy.merge_slashes = True, rule.merge_slashes  # left out by empty()
            rules.add(copy)
    rules.is_complete = True
    return rules
