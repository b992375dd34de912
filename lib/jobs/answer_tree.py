"""The tree of answers: what was asked, and the branches that were tried from there."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lib.access.visitor import Visitor
from lib.core.branching import Fork
from lib.core.completion import Completion
from lib.jobs.job import Job

_MOST_TREES = 64
_MOST_NODES = 200


@dataclass(eq=False)
class Node:
    """An answer in the tree. id: that of its job. parent: "" for one that was asked for. name: given by the reader."""

    id: str
    job: Job[Any]
    parent: str = ""
    fork: Fork | None = None
    name: str = ""

    @property
    def completion(self) -> Completion | None:
        """The answer as far as it has come; the first of several."""
        job = self.job.latest
        done = job.result or job.partial
        if isinstance(done, tuple):
            return done[0] if done else None
        if done is None or isinstance(done, Completion):
            return done
        return next((each.result for each in done.outcomes if isinstance(each.result, Completion)), None)


class Tree:
    """Nodes by their ids, in the order in which they came. May be used from any thread. owner: whose tree it is."""

    def __init__(self, owner: str = "") -> None:
        self.owner = owner
        self._nodes: OrderedDict[str, Node] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, node_id: str) -> Node | None:
        """The node with that id, None when there is none (any more)."""
        return self._nodes.get(node_id)

    def add(self, node: Node) -> None:
        """A new answer. The oldest that nothing branches from goes when there are too many."""
        with self._lock:
            self._nodes[node.id] = node
            if len(self._nodes) > _MOST_NODES:
                parents = {each.parent for each in self._nodes.values()}
                oldest = next((each for each in self._nodes if each not in parents and each != node.id), None)
                if oldest is not None:
                    del self._nodes[oldest]

    def walk(self) -> Iterator[tuple[int, Node]]:
        """(depth, node), every answer before its branches."""
        with self._lock:
            nodes = list(self._nodes.values())
        children: dict[str, list[Node]] = {}
        ids = {node.id for node in nodes}
        for node in nodes:
            children.setdefault(node.parent if node.parent in ids else "", []).append(node)

        def below(parent: str, depth: int) -> Iterator[tuple[int, Node]]:
            for node in children.get(parent, ()):
                yield depth, node
                yield from below(node.id, depth + 1)

        yield from below("", 0)

    def prune(self, node_id: str) -> tuple[Node, ...]:
        """Take an answer and all its branches out; returns them, so that they can be put back."""
        with self._lock:
            gone = {node_id}
            for node in self._nodes.values():  # children come after their parents
                if node.parent in gone:
                    gone.add(node.id)
            removed = tuple(node for node in self._nodes.values() if node.id in gone)
            for node in removed:
                del self._nodes[node.id]
        return removed

    def leave_out(self, node_ids: Iterable[str]) -> None:
        """Take answers out, but not their branches."""
        with self._lock:
            for node_id in node_ids:
                self._nodes.pop(node_id, None)

    def restore(self, nodes: tuple[Node, ...]) -> None:
        """Put back what was pruned."""
        with self._lock:
            for node in nodes:
                self._nodes[node.id] = node


class Trees:
    """The trees of this process, found by their owner and any job in them. The ones used longest ago are let go."""

    def __init__(self) -> None:
        self._trees: OrderedDict[int, Tree] = OrderedDict()
        self._lock = threading.Lock()

    def new(self, by: Visitor) -> Tree:
        """An empty tree of a visitor."""
        with self._lock:
            tree = Tree(by.owner)
            self._trees[id(tree)] = tree
            while len(self._trees) > _MOST_TREES:
                self._trees.popitem(last=False)
            return tree

    def holding(self, job_id: str, by: Visitor) -> Tree | None:
        """The visitor's own tree that has a job, None where none has it. Trees of others are not there for them."""
        with self._lock:
            own = (tree for tree in self._trees.values() if tree.owner == by.owner)
            found = next((tree for tree in own if tree.get(job_id) is not None), None)
            if found is not None:
                self._trees.move_to_end(id(found))
            return found
