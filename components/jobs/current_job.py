"""The job a page shows: started once, found again after a rerun, a reload or from the page's address."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.history_sync import find, keep, reopen, stop
from components.shell.services import check_allowed, engines, jobs, owner, policy, trees, visitor
from lib.core.completion import Completion
from lib.core.request import Request
from lib.errors import CandorError, InvalidRequest
from lib.jobs.answer_tree import Node, Tree
from lib.jobs.batch import Many, run_many
from lib.jobs.job import Job
from lib.jobs.plan import Several, ask_several
from lib.jobs.run import Question, ask, ask_each, one_by_one
from lib.studies.saved_response import SavedResponse

_PARAMETER = "run"
PAGES = {page: f"pages/{page}.py" for page in ("explore", "prompts", "models", "rank")}
Answers = Completion | Many[Completion] | tuple[Completion, ...]  # of a question, of one asked often, of a file


def current_job(page: str) -> Job[Answers] | None:
    """The job this page showed last, or the one that its address names."""
    name = st.session_state.get(f"{page}.job") or st.query_params.get(_PARAMETER)
    job = (find(name) or reopen(name)) if name else None
    if job is None:
        return None
    if (other := _page_of(job)) != page:
        st.session_state.pop(f"{page}.job", None)
        st.switch_page(PAGES[other], query_params={_PARAMETER: job.id})
    _remember(page, job)
    return job  # type: ignore[return-value]


def _page_of(job: Job[Any]) -> str:
    """The page that shows such a job. What a file says of it is not trusted."""
    page = job.subject.page if isinstance(job.subject, Several) else "explore"
    return page if page in PAGES else "explore"


def start_several(page: str, questions: tuple[Question, ...]) -> tuple[Job[Answers] | None, CandorError | None]:
    """Ask several questions at once; returns the job, or the one before it and why no new one could be started."""
    before = current_job(page)
    several = Several(page, questions)
    try:
        for each in questions:
            if not each.source:
                raise InvalidRequest("No model is chosen.", "Choose one in the sidebar.")
        _check(*questions)
        if before is not None and not before.over:
            stop(before)
        works = ask_several(engines(), several, owner=owner())
        job: Job[Answers] = jobs().start(works, subject=several, by=visitor())  # type: ignore[arg-type]
    except CandorError as error:
        return before, error
    keep(page, job)
    _remember(page, job)
    return job, None


def start_beside(page: str, several: Several, of: Job[Any]) -> CandorError | None:
    """Ask several questions about what a job came to; the page goes on to show that job. Returns why it cannot be."""
    try:
        _check(*several.questions)
        job = jobs().start(ask_several(engines(), several, owner=owner()), subject=several, by=visitor())
    except CandorError as error:
        return error
    keep(page, job, of.id)
    st.session_state[f"{page}.beside"], st.session_state[f"{page}.beside_of"] = job.id, of.id
    return None


def start_job(page: str, request: Request) -> tuple[Job[Answers] | None, CandorError | None]:
    """Ask the model in use; returns the job, or the one before it and why no new one could be started."""
    before = current_job(page)
    source = st.session_state.get("model", "")
    try:
        if not source:
            raise InvalidRequest("No model is chosen.", "Choose one in the sidebar.")
        question = Question(source, request)
        _check(question)
        if before is not None and not before.over:
            stop(before)
        job = _started(question)
    except CandorError as error:
        return before, error
    keep(page, job)
    _remember(page, job)
    return job, None


def start_branch(page: str, before: Job[Any], question: Question) -> None:
    """Ask for a branch of the answer of `before`. Raises CandorError."""
    _check(question)
    job = _started(question)
    parent = in_tree(page, before)
    tree_of(page).add(Node(job.id, job, parent, question.fork))
    keep(page, job, parent)
    _remember(page, job)


def tree_of(page: str) -> Tree:
    """The visitor's tree of this page's answers: that of the job it shows, or a new one.

    An answer in it that its owner no longer shares is left out.
    """
    shown, who = st.session_state.get(f"{page}.job"), visitor()
    tree: Tree | None = st.session_state.get(f"{page}.tree")
    if tree is not None and tree.owner != who.owner:
        tree = None
    if tree is None and shown:
        tree = trees().holding(shown, who)
        if tree is None and reopen(shown) is not None:
            tree = trees().holding(shown, who)
    if tree is None:
        tree = trees().new(who)
    if not who.alone:
        others = [node.id for _, node in tree.walk() if not who.owns(node.job.owner)]
        tree.leave_out([node_id for node_id in others if find(node_id) is None])
    st.session_state[f"{page}.tree"] = tree
    return tree


def show_node(page: str, node_id: str) -> None:
    """Let the page show another answer of its tree."""
    node = tree_of(page).get(node_id)
    if node is not None:
        _remember(page, node.job)


def in_tree(page: str, job: Job[Any]) -> str:
    """The id of a job's answer in the page's tree; it is put there where it is not yet."""
    tree = tree_of(page)
    # A job that went on where another ended is the same answer.
    for _, node in tree.walk():
        if job in (node.job, node.job.latest):
            return node.id
    tree.add(Node(job.id, job))
    return job.id


def ask_rest(page: str, job: Job[Any], question: Question, so_far: Many[Completion]) -> CandorError | None:
    """Ask again for those of many answers that failed or were not begun; returns why that cannot be, or None.

    Asked twice, as from two tabs, or from one that was closed before it heard of it, it is done once.
    """
    try:
        _check(question)
        works = ask_each(engines(), one_by_one(question), owner=owner())
        goes_on = jobs().go_on(job, run_many(works, before=so_far), visitor())
        keep(page, goes_on)
        _remember(page, goes_on)
    except CandorError as error:
        return error
    return None


def _started(question: Question) -> Job[Answers]:
    if question.request.n == 1:
        alone = ask(engines(), question, owner=owner())
        return jobs().start(alone, subject=question, by=visitor())  # type: ignore[return-value]
    works = ask_each(engines(), one_by_one(question), owner=owner())
    return jobs().start(run_many(works), subject=question, by=visitor())  # type: ignore[return-value]


def open_saved(page: str, saved: SavedResponse) -> tuple[Job[Answers] | None, CandorError | None]:
    """Read a saved response as a job; returns it, or the one before it and why no new one could be started."""
    before = current_job(page)
    try:
        saved.tokenizer.check(policy())
        visitor().check_size(len(saved.data) + saved.tokenizer.size)
        job: Job[Answers] = jobs().start(lambda _: saved.completions(), subject=saved, by=visitor())
    except CandorError as error:
        return before, error
    keep(page, job)
    _remember(page, job)
    return job, None


def gone() -> bool:
    """Whether the page's address names a job that is not here any more."""
    name = st.query_params.get(_PARAMETER)
    if name is None:
        return False
    return find(name) is None


def _check(*questions: Question) -> None:
    """Raise CandorError where the visitor may not ask one of these, or may not ask for so much."""
    for each in questions:
        check_allowed(each.source)
    visitor().check_tokens(sum(each.max_new_tokens for each in questions))
    visitor().check_characters(sum(each.max_characters_read for each in questions))


def _remember(page: str, job: Job[Answers] | Job[Completion] | Job[object]) -> None:
    st.session_state[f"{page}.job"] = job.id
    st.query_params[_PARAMETER] = job.id
