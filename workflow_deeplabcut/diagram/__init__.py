"""Diagrams of a pipeline's tables, in DataJoint's notation, drawn with Graphviz.

`graph` reads what is declared: tables with their tiers, and the foreign keys between them.
`drawing` turns that into a picture which says itself what it was drawn from, so that one can tell
whether it is out of date on a machine with another Graphviz.
"""

from .drawing import draw_graph, read_fingerprint
from .graph import Graph, Link, Node, read_graph

__all__ = ["Graph", "Link", "Node", "draw_graph", "read_fingerprint", "read_graph"]
