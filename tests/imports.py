"""What a Python source imports, read from its syntax: nothing is executed, so nothing can hide behind a condition."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Import:
    """One imported name, always absolute; ``for_types`` is true where only type checkers look."""

    name: str
    line: int
    for_types: bool


def imports(source: str, module: str, is_package: bool = False) -> list[Import]:
    """Return everything that the source of a module imports, relative imports and those inside functions included."""
    tree = ast.parse(source)
    return list(_found(tree, module if is_package else module.rpartition(".")[0], for_types=False))


def is_within(name: str, *packages: str) -> bool:
    """Say whether a dotted name is one of the packages or lies inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _found(node: ast.AST, package: str, for_types: bool) -> Iterator[Import]:
    for name in _imported_by(node, package):
        yield Import(name, getattr(node, "lineno", 0), for_types)
    if isinstance(node, ast.If) and _says_type_checking(node.test):
        for child in node.body:
            yield from _found(child, package, for_types=True)
        for child in node.orelse:
            yield from _found(child, package, for_types)
        return
    for inner in ast.iter_child_nodes(node):
        yield from _found(inner, package, for_types)


def _imported_by(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parts, *([node.module] if node.module else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = ast.unparse(node.func).rpartition(".")[2]
        if called in ("import_module", "__import__"):
            return [str(node.args[0].value)]
    return []


def _says_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
