"""What a pipeline declares: its tables, their tiers, and the foreign keys between them."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import datajoint as dj

from element_deeplabcut.errors import QueryError

_TIERS: tuple[tuple[Any, str], ...] = (
    (dj.Part, "part"),
    (dj.Lookup, "lookup"),
    (dj.Imported, "imported"),
    (dj.Computed, "computed"),
    (dj.Manual, "manual"),
)


@dataclass(frozen=True, order=True)
class Node:
    """A table.

    Attributes:
        schema: Module that declares it: ``model``.
        name: Class, with its master where it is a part: ``PoseEstimation.BodyPartPosition``.
        tier: manual, lookup, imported, computed or part.
        extends_key: Whether its primary key has attributes of its own.
    """

    schema: str
    name: str
    tier: str
    extends_key: bool

    @property
    def label(self) -> str:
        """Its name within the pipeline."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, order=True)
class Link:
    """A foreign key.

    Attributes:
        parent: Label of the table that is referred to.
        child: Label of the one that refers.
        kind: ``whole key`` (at most one row per row of the parent), ``part of key`` or ``outside
            key``.
    """

    parent: str
    child: str
    kind: str


@dataclass(frozen=True)
class Graph:
    """Tables and foreign keys, in the order in which they are drawn.

    Attributes:
        nodes: Tables: schemas in the pipeline's order, tables by name.
        links: Foreign keys between these tables, by name.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of all of it; the same wherever the pipeline is declared."""
        plain = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()

    def select(
        self,
        schemas: Iterable[str] = (),
        tables: Iterable[str] = (),
        *,
        above: int = 0,
        below: int = 0,
    ) -> Graph:
        """Take part of it.

        Args:
            schemas: Schemas to show.
            tables: Tables to show: ``PoseEstimation`` or ``model.PoseEstimation``. Without schemas
                and tables, all are.
            above: How many steps to go on to tables that are referred to.
            below: How many steps to go on to tables that refer to these.

        Raises:
            QueryError: There is no such schema or table.
        """
        schemas, tables = list(schemas), list(tables)
        if not schemas and not tables:
            return self
        shown: set[str] = set()
        for schema in schemas:
            shown |= {node.label for node in self.nodes if node.schema == schema} or _fail(
                "schema", schema, sorted({node.schema for node in self.nodes})
            )
        for table in tables:
            shown |= {n.label for n in self.nodes if table in (n.name, n.label)} or _fail(
                "table", table, [node.label for node in self.nodes]
            )
        upwards, downwards = set(shown), set(shown)
        for _ in range(above):
            upwards |= {link.parent for link in self.links if link.child in upwards}
        for _ in range(below):
            downwards |= {link.child for link in self.links if link.parent in downwards}
        shown = upwards | downwards
        return Graph(
            tuple(node for node in self.nodes if node.label in shown),
            tuple(link for link in self.links if {link.parent, link.child} <= shown),
        )


def _fail(what: str, name: str, known: Sequence[str]) -> set[str]:
    raise QueryError(f"There is no {what} '{name}'. Choose from {', '.join(known)}.")


def read_graph(pipeline: ModuleType) -> Graph:
    """Read the tables of a pipeline, and the foreign keys that the database holds between them.

    Args:
        pipeline: Module that activates schema modules and names them, such as
            ``workflow_deeplabcut.pipeline``.
    """
    found = {table.full_table_name: (schema, table) for schema, table in _list_classes(pipeline)}
    connection = dj.conn()
    connection.dependencies.load()
    keys = connection.dependencies
    order = list(dict.fromkeys(schema for schema, _ in found.values()))
    nodes = {
        full: Node(schema, _name(table), _find_tier(table), _extends_key(keys, full))
        for full, (schema, table) in found.items()
        if full in keys
    }
    links = {
        Link(nodes[parent].label, nodes[child].label, _find_kind(facts))
        for child in nodes
        for parent, facts in _list_parents(keys, child)
        if parent in nodes
    }
    ranked = sorted(nodes.values(), key=lambda node: (order.index(node.schema), node.name))
    return Graph(tuple(ranked), tuple(sorted(links)))


def _list_classes(pipeline: ModuleType) -> Iterator[tuple[str, Any]]:
    """List the table classes of the schema modules that a pipeline names, and those in it."""
    modules = [value for value in vars(pipeline).values() if inspect.ismodule(value)]
    schemas = {
        value.database: module.__name__.rpartition(".")[2]
        for module in modules
        for value in vars(module).values()
        if isinstance(value, dj.Schema) and value.database
    }
    for schema in list(schemas):
        schemas[schema] = _strip(schemas[schema])
    for space in (*modules, pipeline):
        for value in list(vars(space).values()):
            for table in (value, *(vars(value).values() if inspect.isclass(value) else ())):
                if _is_table(table) and table.database in schemas:
                    yield schemas[table.database], table


def _strip(module: str) -> str:
    return module.split("_with_")[0]  # session_with_datetime is `session` to everybody


def _is_table(value: Any) -> bool:
    return (
        inspect.isclass(value)
        and any(issubclass(value, tier) for tier, _ in _TIERS)
        and getattr(value, "database", None) is not None
    )


def _name(table: Any) -> str:
    master = getattr(table, "master", None) if issubclass(table, dj.Part) else None
    return f"{master.__name__}.{table.__name__}" if master else table.__name__


def _find_tier(table: Any) -> str:
    return next(name for kind, name in _TIERS if issubclass(table, kind))


def _list_parents(keys: Any, child: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for parent, _, facts in keys.in_edges(child, data=True):
        if parent.isdigit():  # stands between them where attributes are renamed
            yield from ((above, facts) for above, *_ in keys.in_edges(parent))
        else:
            yield parent, facts


def _extends_key(keys: Any, full_name: str) -> bool:
    inherited = {
        name
        for _, facts in _list_parents(keys, full_name)
        if facts["primary"]
        for name in facts["attr_map"]
    }
    return bool(keys.nodes[full_name]["primary_key"] - inherited)


def _find_kind(facts: dict[str, Any]) -> str:
    if not facts["primary"]:
        return "outside key"
    return "part of key" if facts["multi"] else "whole key"
