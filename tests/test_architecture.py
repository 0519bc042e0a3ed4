"""The package's shape: who may import whom, and how long things may get."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import flask_threaded_sockets

PACKAGE = "flask_threaded_sockets"
ROOT = Path(__file__).parents[1]
DIRECTORY = Path(flask_threaded_sockets.__file__).parent

# A module may import from the layers before its own and from its own, never from a later
# one. Names are modules or subpackages of the package.
LAYERS: list[set[str]] = [
    {"codes"},
    {"exceptions", "events"},
    {"options", "backend", "host"},
    {"handshake", "negotiation", "origin", "refusals"},
    {"accesslog", "rules", "slots"},
    {"codec"},
    {"hookspecs", "discovery"},
    {"plugins"},
    {"choice"},
    {"transport"},
    {"ending", "inbound", "keepalive", "outbound"},
    {"monitor", "shell"},
    {"connection"},
    {"protocol_backend"},
    {"builtin"},
    {"clients", "websocket"},
    {"broadcast", "hosts", "hosting", "settings", "stopping"},
    {"observer", "opening"},
    {"gateway", "signals", "switching"},
    {"extension", "wsgi", "testing"},
    {"sockets", "serving", "cli"},
    {"__init__", "liveserver"},
    {"pytest_plugin"},
]
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}

# What the sans-I/O codec must not know of, directly or through what it imports.
NOT_FOR_CODEC = {
    "flask",
    "werkzeug",
    "socket",
    "ssl",
    "select",
    "selectors",
    "threading",
    "_thread",
    "queue",
    "asyncio",
    "logging",
}

# The router knows of routes and requests; frames are somebody else's.
NOT_FOR_ROUTER = {"codec", "builtin", "connection", "shell", "transport", "monitor"}

# Imports inside a function, each with its reason: (module, imported): reason.
DEFERRED = {
    ("websocket", "wsgi"): "the original had WebSocketWSGI there; it stands above WebSocket",
}

# `import flask_threaded_sockets` loads none of them, whatever is installed.
NOT_LOADED = ("wsproto", "websockets", "websocket", "simple_websocket", "gevent", "eventlet")

MODULE_LINES = 400
FUNCTION_LINES = 60

# What is held to the same lengths: the plugins, the kit, and the kit's own broken backends.
BESIDE = (
    "backends/*/flask_threaded_sockets_*/**/*.py",
    "conformance/flask_threaded_sockets_conformance/**/*.py",
    "conformance/tests/**/*.py",
)


@dataclass(frozen=True)
class Import:
    """One imported module; of this package it is the path below it, e.g. ``codec.frames``."""

    target: str
    inside: bool
    line: int
    deferred: bool


def name_of(path: Path) -> str:
    parts = path.relative_to(DIRECTORY).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def top(module: str) -> str:
    return module.partition(".")[0]


SOURCES = {name_of(path): path for path in sorted(DIRECTORY.rglob("*.py"))}
TREES = {name: ast.parse(path.read_bytes()) for name, path in SOURCES.items()}
MODULES = sorted(SOURCES)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in {
        leaf.id if isinstance(leaf, ast.Name) else leaf.attr
        for leaf in ast.walk(node.test)
        if isinstance(leaf, ast.Name | ast.Attribute)
    }


def import_nodes(
    node: ast.AST, deferred: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Walk all but the blocks for type checkers; tell whether inside a function."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, deferred
    if is_type_checking(node):
        for other in node.orelse:
            yield from import_nodes(other, deferred)
        return
    deferred = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from import_nodes(child, deferred)


def resolve(module: str, node: ast.ImportFrom) -> str:
    """Give the absolute name of what a ``from`` import names."""
    if not node.level:
        return node.module or ""
    is_package = SOURCES[module].name == "__init__.py"
    package = [PACKAGE, *([] if module == "__init__" else module.split("."))]
    if not (is_package or module == "__init__"):
        package.pop()
    base = package[: len(package) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


def below(name: str) -> str | None:
    """Give the path below the package, ``__init__`` for the package, ``None`` outside."""
    if name == PACKAGE:
        return "__init__"
    return name.removeprefix(f"{PACKAGE}.") if name.startswith(f"{PACKAGE}.") else None


def imports_of(module: str) -> list[Import]:
    found = []
    for node, deferred in import_nodes(TREES[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            origin = resolve(module, node)
            inner = below(origin)
            # `from . import codes` names a module, not something in the package.
            names = [
                f"{origin}.{alias.name}"
                if inner and below(f"{origin}.{alias.name}") in SOURCES
                else origin
                for alias in node.names
            ]
        for name in dict.fromkeys(names):
            inner = below(name)
            found.append(Import(inner or name, inner is not None, node.lineno, deferred))
    return found


def checked(module: str) -> list[Import]:
    """Give the imports of the package's own modules that go by the layers."""
    return [
        imported
        for imported in IMPORTS.get(module, [])
        if imported.inside and (module, imported.target) not in DEFERRED
    ]


IMPORTS = {module: imports_of(module) for module in MODULES}


def reached_from(module: str) -> set[str]:
    """Give the modules of the package that importing this one brings, itself included."""
    seen, todo = set(), [module]
    while todo:
        if (current := todo.pop()) not in seen:
            seen.add(current)
            todo += [imported.target for imported in checked(current)]
    return seen


@pytest.mark.parametrize("module", MODULES)
def test_module_has_a_layer(module):
    assert top(module) in LAYER_OF, f"{module} is new: give it a place in LAYERS"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    own = LAYER_OF.get(top(module), len(LAYERS))
    wrong = [
        f"line {imported.line}: {module} must not import {imported.target}"
        for imported in checked(module)
        if LAYER_OF.get(top(imported.target), 0) > own
    ]
    assert wrong == []


def test_no_import_cycle():
    def visit(module: str, trail: tuple[str, ...]) -> list[str] | None:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return None
        for imported in checked(module):
            if cycle := visit(imported.target, (*trail, module)):
                return cycle
        done.add(module)
        return None

    done: set[str] = set()
    cycles = [" -> ".join(cycle) for module in MODULES if (cycle := visit(module, ()))]
    assert cycles == []


def test_no_import_inside_a_function():
    deferred = {
        (module, imported.target)
        for module in MODULES
        for imported in IMPORTS[module]
        if imported.deferred
    }
    assert deferred == set(DEFERRED)


def test_codec_knows_nothing_of_flask_sockets_or_threads():
    known = {
        (module, reached, imported.target)
        for module in MODULES
        if top(module) == "codec"
        for reached in reached_from(module)
        for imported in IMPORTS.get(reached, [])
        if not imported.inside and top(imported.target) in NOT_FOR_CODEC
    }
    assert known == set()


def test_router_knows_nothing_of_frames():
    inner = {top(imported.target) for imported in checked("sockets")}
    assert inner & NOT_FOR_ROUTER == set()


def long_functions(tree: ast.Module) -> dict[str, int]:
    return {
        f"{node.name}, line {node.lineno}": length
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := node.end_lineno - node.lineno + 1) > FUNCTION_LINES
    }


@pytest.mark.parametrize("module", MODULES)
def test_module_is_short(module):
    lines = len(SOURCES[module].read_bytes().splitlines())
    assert lines <= MODULE_LINES


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_short(module):
    assert long_functions(TREES[module]) == {}


@pytest.mark.parametrize("pattern", BESIDE)
def test_modules_and_functions_beside_the_core_are_short(pattern):
    paths = sorted(ROOT.glob(pattern))
    assert paths
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}
    lines = {name: len(text.splitlines()) for name, text in contents.items()}
    assert {name: count for name, count in lines.items() if count > MODULE_LINES} == {}
    long = {name: long_functions(ast.parse(text)) for name, text in contents.items()}
    assert {name: functions for name, functions in long.items() if functions} == {}


@pytest.mark.parametrize("module", MODULES)
def test_module_says_what_it_is(module):
    assert ast.get_docstring(TREES[module])


def is_public(module: str) -> bool:
    """Tell whether others import from it; a package of plugins alone has nothing to give."""
    has_names = any(
        not isinstance(node, ast.Expr | ast.ImportFrom)
        or (isinstance(node, ast.ImportFrom) and node.module != "__future__")
        for node in TREES[module].body
    )
    hidden = module != "__init__" and any(part.startswith("_") for part in module.split("."))
    return has_names and not hidden


@pytest.mark.parametrize("module", [name for name in MODULES if is_public(name)])
def test_public_module_lists_its_names(module):
    lists = [
        node
        for node in TREES[module].body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "__all__"
    ]
    assert len(lists) == 1
    names = ast.literal_eval(lists[0].value)
    assert len(names) == len(set(names))


def test_import_loads_no_backend_library():
    code = f"import sys, {PACKAGE}; print(*(n for n in {NOT_LOADED!r} if n in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.split() == []
