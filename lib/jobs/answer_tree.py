"""The tree of answers: an answer and the branches that continue from its tokens."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lib.access.visitor import Visitor
from lib.core.branching import Fork
from lib.core.completion import Completion
from lib.jobs.batch import Batch
from lib.jobs.job import Job

MAX_TREES = 64  # in a process
MAX_NODES = 200  # in a tree


@dataclass(eq=False)
class Node:
    """An answer in the tree."""

    id: str  # of its job
    job: Job[Batch]
    parent: str = ""  # id of the answer that it branches from; "" for a root
    fork: Fork | None = None  # where it leaves its parent; None for a root
    name: str = ""  # given by the user

    @property
    def completion(self) -> Completion | None:
        """The answer so far; the first one of several samples."""
        job = self.job.latest
        batch = job.result or job.partial
        return next(iter(batch.completions), None) if batch is not None else None


class Tree:
    """Nodes by id, in the order in which they were added. Thread-safe."""

    def __init__(self, owner: str = "") -> None:
        self.owner = owner
        self._nodes: OrderedDict[str, Node] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, node_id: str) -> Node | None:
        """The node with this id; None if there is none."""
        return self._nodes.get(node_id)

    def add(self, node: Node) -> None:
        """Add an answer. If there are too many, the oldest one without branches is dropped."""
        with self._lock:
            self._nodes[node.id] = node
            if len(self._nodes) > MAX_NODES:
                parents = {each.parent for each in self._nodes.values()}
                oldest = next((each for each in self._nodes if each not in parents and each != node.id), None)
                if oldest is not None:
                    del self._nodes[oldest]

    def walk(self) -> Iterator[tuple[int, Node]]:
        """(depth, node) of every answer, each before its branches."""
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
        """Remove an answer and all its branches; returns them for `restore`."""
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
        """Remove answers, but not their branches."""
        with self._lock:
            for node_id in node_ids:
                self._nodes.pop(node_id, None)

    def restore(self, nodes: tuple[Node, ...]) -> None:
        """Put back what `prune` returned."""
        with self._lock:
            for node in nodes:
                self._nodes[node.id] = node


class Trees:
    """The trees of this process, by owner and any job in them. The least recently used ones are dropped."""

    def __init__(self) -> None:
        self._trees: OrderedDict[int, Tree] = OrderedDict()
        self._lock = threading.Lock()

    def new(self, by: Visitor) -> Tree:
        """An empty tree for a visitor."""
        with self._lock:
            tree = Tree(by.owner)
            self._trees[id(tree)] = tree
            while len(self._trees) > MAX_TREES:
                self._trees.popitem(last=False)
            return tree

    def holding(self, job_id: str, by: Visitor) -> Tree | None:
        """The visitor's own tree that contains a job; None if there is none. Trees of others are never returned."""
        with self._lock:
            own = (tree for tree in self._trees.values() if tree.owner == by.owner)
            found = next((tree for tree in own if tree.get(job_id) is not None), None)
            if found is not None:
                self._trees.move_to_end(id(found))
            return found
