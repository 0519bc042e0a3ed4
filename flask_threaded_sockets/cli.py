"""``flask sockets``: what is installed, what this app uses and what it serves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, NoAppException, ScriptInfo
from werkzeug.routing import Rule

from .backend import Backend
from .discovery import installed_backends
from .exceptions import BackendError, ConfigurationError
from .extension import state_of
from .plugins import backend_names, load_backend

__all__ = ["sockets_cli"]

sockets_cli = AppGroup("sockets", help="Show WebSocket backends and routes.")


@sockets_cli.command("backends", with_appcontext=False)
@click.pass_context
def backends_command(context: click.Context) -> None:
    """List the protocol backends, and which one this app uses and why."""
    # The app first: it may register or block some. One that does not start because of
    # its backend is just when this list is wanted.
    verdict = _verdict(context)
    rows = [_backend_row(name) for name in _all_names()]
    _print_table(("backend", "distribution", "loads", "features"), rows)
    click.echo(f"\n{verdict}")


def _verdict(context: click.Context) -> str:
    try:
        app = context.ensure_object(ScriptInfo).load_app()
        state = state_of(app)
        if state is None:
            return "This app has no Sockets."
        choice = state.choice
    except ConfigurationError as error:
        return f"This app does not start: {error}"
    except NoAppException as error:
        return f"There is no app: {error}"
    return f"This app uses {choice.backend.name!r}, chosen by: {choice.source}."


def _all_names() -> list[str]:
    return sorted({*installed_backends(), *backend_names()})


def _backend_row(name: str) -> tuple[str, str, str, str]:
    items = installed_backends().get(name, [])
    origin = " and ".join(item.origin for item in items) or "registered in process"
    try:
        backend = load_backend(name)
    except BackendError as error:
        return name, origin, f"no: {error}", ""
    return name, origin, "yes", _features(backend)


def _features(backend: Backend) -> str:
    return ", ".join(sorted(feature.value for feature in backend.features)) or "none"


@sockets_cli.command("routes")
def routes_command() -> None:
    """List the WebSocket routes with their options."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    state = state_of(app)
    rules = [rule for rule in app.url_map.iter_rules() if rule.websocket]
    if state is None or not rules:
        click.echo("This app has no WebSocket routes.")
        return
    rows = [_route_row(app, rule) for rule in sorted(rules, key=lambda rule: rule.endpoint)]
    _print_table(("endpoint", "rule", "options"), rows)


def _route_row(app: Flask, rule: Rule) -> tuple[str, str, str]:
    changes: dict[str, Any] = getattr(app.view_functions.get(rule.endpoint), "changes", {})
    options = ", ".join(f"{name}={value!r}" for name, value in sorted(changes.items()))
    where = f"{rule.subdomain or rule.host or ''}{rule.rule}"
    return rule.endpoint, where, options or "-"


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
        if number == 0:
            click.echo("  ".join("-" * width for width in widths))
