"""The job a page shows: started once, then found again after a rerun, a reload, or from the page's address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.jobs.history_sync import find, keep, reopen, stop
from components.shell.access import owner, policy, visitor
from components.shell.services import check_allowed, engines, jobs, trees
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
_NO_MODEL, _SELECT_ONE = "No model is selected.", "Select one in the sidebar."
PAGES = {page: f"pages/{page}.py" for page in ("explore", "prompts", "models", "rank")}
Answers = Completion | Many[Completion] | tuple[Completion, ...]  # of one sample, of several, of a file


def current_job(page: str) -> Job[Answers] | None:
    """The job this page showed last, or the one its address names."""
    name = st.session_state.get(f"{page}.job") or st.query_params.get(_PARAMETER)
    job = (find(name) or reopen(name)) if name else None
    if job is None:
        return None
    if (other := _page_of(job)) != page:
        st.session_state.pop(f"{page}.job", None)
        st.switch_page(PAGES[other], query_params={_PARAMETER: job.id})
    _remember(page, job)
    return job


def _page_of(job: Job[Any]) -> str:
    """The page that shows a job. The name may come from an imported file, so it is checked."""
    page = job.subject.page if isinstance(job.subject, Several) else "explore"
    return page if page in PAGES else "explore"


def start_several(page: str, questions: tuple[Question, ...]) -> tuple[Job[Answers] | None, CandorError | None]:
    """Start one job for several questions; return it, or the previous job and why no new one could start."""
    several = Several(page, questions)
    return start_work(page, questions, lambda: (ask_several(engines(), several, owner=owner()), several))


def start_work(
    page: str, questions: tuple[Question, ...], prepare: Callable[[], tuple[Callable[[Job[Any]], Any], object]]
) -> tuple[Job[Answers] | None, CandorError | None]:
    """Check the questions and start a job; return it, or the previous job and why no new one could start.

    prepare: returns the work and the job's subject; it may raise CandorError.
    """
    before = current_job(page)
    try:
        for each in questions:
            if not each.source:
                raise InvalidRequest(_NO_MODEL, _SELECT_ONE)
        _check(*questions)
        if before is not None and not before.over:
            stop(before)
        work, subject = prepare()
        job: Job[Answers] = jobs().start(work, subject=subject, by=visitor())
    except CandorError as error:
        return before, error
    keep(page, job)
    _remember(page, job)
    return job, None


def start_beside(page: str, several: Several, of: Job[Any]) -> CandorError | None:
    """Start a second job about the result of `of`, which stays on the page; return why it could not start, or None."""
    try:
        _check(*several.questions)
        job = jobs().start(ask_several(engines(), several, owner=owner()), subject=several, by=visitor())
    except CandorError as error:
        return error
    keep(page, job, of.id)
    st.session_state[f"{page}.beside"], st.session_state[f"{page}.beside_of"] = job.id, of.id
    return None


def start_job(page: str, request: Request) -> tuple[Job[Answers] | None, CandorError | None]:
    """Send a request to the selected model; return the job, or the previous job and why no new one could start."""
    before = current_job(page)
    source = st.session_state.get("model", "")
    try:
        if not source:
            raise InvalidRequest(_NO_MODEL, _SELECT_ONE)
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
    """Start a branch of the answer of `before`. Raises CandorError."""
    _check(question)
    job = _started(question)
    parent = in_tree(page, before)
    tree_of(page).add(Node(job.id, job, parent, question.fork))
    keep(page, job, parent)
    _remember(page, job)


def tree_of(page: str) -> Tree:
    """The tree of answers around the job this page shows, or a new tree.

    Answers of other people that are no longer shared are left out.
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
    """Show another answer of the page's tree."""
    node = tree_of(page).get(node_id)
    if node is not None:
        _remember(page, node.job)


def in_tree(page: str, job: Job[Any]) -> str:
    """The id of a job's answer in the page's tree, which it joins if necessary."""
    tree = tree_of(page)
    # A job that continues another one is the same answer.
    for _, node in tree.walk():
        if job in (node.job, node.job.latest):
            return node.id
    tree.add(Node(job.id, job))
    return job.id


def ask_rest(page: str, job: Job[Any], question: Question, so_far: Many[Completion]) -> CandorError | None:
    """Retry the answers that failed or were never started; return why that is impossible, or None.

    Pressing the button twice, for instance in two tabs, starts it once.
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
        return jobs().start(alone, subject=question, by=visitor())  # type: ignore[arg-type]
    works = ask_each(engines(), one_by_one(question), owner=owner())
    return jobs().start(run_many(works), subject=question, by=visitor())  # type: ignore[arg-type]


def open_saved(page: str, saved: SavedResponse) -> tuple[Job[Answers] | None, CandorError | None]:
    """Read a saved response as a job; return it, or the previous job and why no new one could start."""
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
    """Whether the page's address names a job that no longer exists."""
    name = st.query_params.get(_PARAMETER)
    if name is None:
        return False
    return find(name) is None


def _check(*questions: Question) -> None:
    """Raise CandorError if the visitor may not use one of the models, or has no allowance for that much."""
    for each in questions:
        check_allowed(each.source)
    visitor().check_tokens(sum(each.max_new_tokens for each in questions))
    visitor().check_characters(sum(each.max_characters_read for each in questions))


def _remember(page: str, job: Job[Answers] | Job[Completion] | Job[object]) -> None:
    st.session_state[f"{page}.job"] = job.id
    st.query_params[_PARAMETER] = job.id
