"""The tree of answers: traversal, pruning and undo."""

from __future__ import annotations

from lib.access.visitor import ALONE
from lib.core.completion import Completion
from lib.jobs.answer_tree import MAX_NODES, MAX_TREES, Node, Tree, Trees
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.jobs.job import Job
from tests.support.strategies import completion_of, tokens_of


def done(text: str = "") -> Completion:
    return completion_of(tokens_of("a"), tokens_of("b"), text=text)


def node(name: str, parent: str = "", result: Batch | None = None) -> Node:
    job: Job[Batch] = Job(lambda _: result or Batch())
    job.run()
    return Node(name, job, parent)


def tree_of(*pairs: tuple[str, str]) -> Tree:
    tree = Tree()
    for name, parent in pairs:
        tree.add(node(name, parent))
    return tree


def shape(tree: Tree) -> list[tuple[int, str]]:
    return [(depth, each.id) for depth, each in tree.walk()]


def test_answers_precede_their_branches() -> None:
    tree = tree_of(("a", ""), ("b", "a"), ("c", ""), ("d", "b"), ("e", "a"))
    assert shape(tree) == [(0, "a"), (1, "b"), (2, "d"), (1, "e"), (0, "c")]


def test_pruning_removes_the_branches_too_and_can_be_undone() -> None:
    tree = tree_of(("a", ""), ("b", "a"), ("c", "b"), ("d", "a"))
    gone = tree.prune("b")
    assert [each.id for each in gone] == ["b", "c"]
    assert shape(tree) == [(0, "a"), (1, "d")]
    tree.restore(gone)
    assert sorted(shape(tree)) == [(0, "a"), (1, "b"), (1, "d"), (2, "c")]
    assert tree.prune("nobody") == ()


def test_the_size_of_a_tree_is_bounded() -> None:
    tree = Tree()
    tree.add(node("root"))
    for number in range(MAX_NODES + 5):
        tree.add(node(str(number), "root"))
    assert len(tree) == MAX_NODES
    assert tree.get("root") is not None, "what others branch from stays"
    assert tree.get("0") is None


def test_the_answer_of_a_node() -> None:
    one, two = done("one"), done("two")
    assert node("a", result=batch_of([one])).completion is one
    assert node("a", result=batch_of([one, two])).completion is one
    assert node("a").completion is None
    outcomes = (Outcome(State.FAILED), Outcome(State.DONE, two))
    assert node("a", result=Batch(outcomes)).completion is two
    first, after = node("a", result=batch_of([one])), node("b", result=batch_of([two]))
    first.job.successor = after.job
    assert first.completion is two


def test_trees_are_found_by_their_jobs_and_the_oldest_are_dropped() -> None:
    trees = Trees()
    mine = trees.new(ALONE)
    mine.add(node("mine"))
    assert trees.holding("mine", ALONE) is mine
    assert trees.holding("other", ALONE) is None
    for _ in range(MAX_TREES):
        trees.new(ALONE)
    assert trees.holding("mine", ALONE) is None
