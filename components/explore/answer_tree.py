"""The tree of answers: walk it, put two side by side, rename and remove."""

from __future__ import annotations

import streamlit as st

from components.jobs.current_job import show_node
from components.jobs.history_sync import brought_back, find, named, taken_out
from components.shell.escaping import as_text
from lib import formatting
from lib.jobs.answer_tree import Node, Tree
from lib.scores.token_scores import summarise_answer

_PAGE = "explore"
_LABEL_LENGTH = 60  # characters of an answer in its label
_PRUNED = "tree.pruned"


def answer_tree(tree: Tree, current: str) -> Node | None:
    """Show the tree once it has two answers; return the one to show beside the current one, if any."""
    _undo(tree)
    nodes = {node.id: (depth, node) for depth, node in tree.walk()}
    if len(nodes) < 2 or current not in nodes:
        return None
    labels = {name: _label(depth, node) for name, (depth, node) in nodes.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="tree"):
        st.session_state["tree.open"] = current
        st.selectbox(
            f"Tree of {len(nodes):,} answers", list(nodes), format_func=labels.__getitem__, key="tree.open",
            on_change=_open,
        )  # fmt: skip
        others = [name for name in nodes if name != current]
        beside = st.selectbox(
            "Side by side with", others, None, format_func=labels.__getitem__, key="tree.beside",
            placeholder="None", persist_state="session",
        )  # fmt: skip
        with st.popover("", icon=":material/edit:", help="Rename or remove this answer"):
            _edit(tree, nodes[current][1])
    _forced(nodes[current][1], tree)
    return nodes[beside][1] if beside in nodes else None


def _open() -> None:
    """Show the chosen answer.

    Not while another is growing: the list is not on the page then, but the browser may still report its old value.
    """
    job = find(st.session_state.get(f"{_PAGE}.job"))
    if job is None or job.over:
        show_node(_PAGE, st.session_state["tree.open"])


def name_of(node: Node) -> str:
    """The name the reader gave an answer, or the beginning of its text."""
    done = node.completion
    text = "" if done is None else formatting.visible(done.text[:_LABEL_LENGTH]).replace("·", " ").strip()
    return node.name or text or "(empty so far)"


def _label(depth: int, node: Node) -> str:
    return f"{' ' * 4 * depth}{'└ ' if depth else ''}{name_of(node)}"


def _forced(node: Node, tree: Tree) -> None:
    """Say what was forced in a branch, and where."""
    fork = node.fork
    if fork is None:
        return
    parent = tree.get(node.parent)
    of = f"“{as_text(name_of(parent))}”" if parent is not None else "an answer that was removed"
    at = (
        f"after {formatting.count(fork.kept, 'token')} of the answer,"
        if fork.kept
        else "at the first token of the answer,"
    )
    what = f"“{as_text(fork.text)}” was forced (excluded from the mean)" if fork.forced else "the model sampled again"
    st.caption(f"Branch of {of}: {at} {what}.")


def _edit(tree: Tree, node: Node) -> None:
    key = f"tree.name.{node.id}"

    def rename() -> None:
        node.name = str(st.session_state[key]).strip()
        named(node)

    st.text_input("Name", node.name, key=key, max_chars=80, on_change=rename)
    branches = len([each for _, each in tree.walk() if each.parent == node.id])
    label = "Remove answer and branches" if branches else "Remove answer"
    st.button(label, key=f"tree.remove.{node.id}", icon=":material/delete:", on_click=prune, args=(tree, node))


def prune(tree: Tree, node: Node) -> None:
    """Remove an answer and its branches from the tree, and their runs from the history."""
    removed = tree.prune(node.id)
    st.session_state[_PRUNED] = removed
    taken_out(removed)
    left = [each.id for _, each in tree.walk()]
    show_node(_PAGE, node.parent if node.parent in left else left[0] if left else "")


def _undo(tree: Tree) -> None:
    removed: tuple[Node, ...] = st.session_state.get(_PRUNED, ())
    if not removed:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{formatting.count(len(removed), 'answer')} removed.", width="content")

        def back() -> None:
            tree.restore(removed)
            brought_back(removed)
            st.session_state.pop(_PRUNED, None)
            show_node(_PAGE, removed[0].id)

        st.button("Undo", key="tree.undo", icon=":material/undo:", on_click=back, type="tertiary")


def all_answers(tree: Tree) -> None:
    """A table of all answers with their scores, in an expander; nothing if there is only one answer."""
    if len(tree) < 2:
        return
    with st.expander(f"All {len(tree):,} answers", icon=":material/account_tree:"):
        _table(tree)


def _table(tree: Tree) -> None:
    rows = []
    for depth, node in tree.walk():
        done = node.completion
        found = None if done is None else summarise_answer(done)
        rows.append(
            {
                "Answer": _label(depth, node),
                "Forced": "" if node.fork is None else node.fork.text or "resampled",
                "Mean logprob (nats)": None if found is None else found.mean_logprob,
                "Least confident span (nats)": None if found is None or found.span is None else found.span.mean_logprob,
                "Tokens scored": None if found is None else found.scored,
                "Ended by": "" if done is None else done.ended,
            }
        )
    number = st.column_config.NumberColumn
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Mean logprob (nats)": number(format="%.3f"),
            "Least confident span (nats)": number(format="%.3f"),
            "Tokens scored": number(format="%d"),
        },
    )
    st.caption("The map marks forced tokens, and tokens taken over from the answer it branched from.")
