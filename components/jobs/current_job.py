"""The job a page shows: started once, then found again after a rerun, a reload, or from the page's address."""

from __future__ import annotations

from collections.abc import Container, Sequence

import streamlit as st

from components.jobs.history_sync import find, is_mine, keep, reopen, stop
from components.shell.access import owner, policy, visitor
from components.shell.page_scripts import SCRIPTS
from components.shell.services import services
from lib.core.sources import NO_MODEL
from lib.errors import CandorError, InvalidRequest
from lib.jobs.answer_tree import Node, Tree
from lib.jobs.batch import Batch, batch_of
from lib.jobs.call import Call
from lib.jobs.job import Job
from lib.jobs.plan import Plan
from lib.jobs.run_plan import plan_left, run_plan
from lib.studies.exploration import ExplorePlan
from lib.studies.plans import PLANS
from lib.studies.saved_response import SavedResponse

_PARAMETER = "run"
PAGES = {each.page: SCRIPTS[each.page] for each in PLANS.values() if each.page in SCRIPTS}
Run = Job[Batch]


def current_job(page: str, takes: Container[str] = ()) -> Run | None:
    """The job this page showed last, or the one its address names.

    takes: other pages whose jobs this page shows, too.
    """
    name = st.session_state.get(f"{page}.job") or st.query_params.get(_PARAMETER)
    job = (find(name) or reopen(name)) if name else None
    if job is None:
        return None
    if (other := page_of(job)) != page and other not in takes:
        st.session_state.pop(f"{page}.job", None)
        st.switch_page(PAGES[other], query_params={_PARAMETER: job.id})
    _remember(page, job)
    return job


def page_of(job: Run) -> str:
    """The page that shows a job; Explore, if no other does."""
    page = "explore" if job.plan is None else job.plan.page
    return page if page in PAGES else "explore"


def start(
    page: str,
    plan: Plan,
    known: Batch | None = None,
    takes: Container[str] = (),
    known_of: Plan | None = None,
) -> tuple[Run | None, CandorError | None]:
    """Start a plan; return its job, or the previous job and why no new one could start.

    While the same plan is running on the page, it is not started again: a double click asks once.

    known: the answers that are there already. takes: other pages whose jobs the page shows, too.
    known_of: the plan that those answers are the outcome of, if it is another one.
    """
    before = current_job(page, takes)
    if before is not None and not before.over and before.plan == plan:
        return before, None
    try:
        own = before is not None and page_of(before) == page
        job = _started(plan, known, before if own else None, known_of)
    except CandorError as error:
        return before, error
    keep(page, job)
    _remember(page, job)
    return job, None


def start_beside(page: str, plan: Plan, of: Run, place: str = "beside") -> CandorError | None:
    """Start a second plan about the result of `of`, which stays on the page; return why it could not start, or None.

    place: a name for where the page shows it, if it has several such places.
    """
    running = find(st.session_state.get(f"{page}.{place}"))
    if running is not None and not running.over and running.plan == plan:
        return None
    try:
        job = _started(plan)
    except CandorError as error:
        return error
    keep(page, job, of.id)
    st.session_state[f"{page}.{place}"], st.session_state[f"{page}.{place}_of"] = job.id, of.id
    return None


def job_beside(page: str, of: Run, place: str = "beside") -> Run | None:
    """The second plan about the result of `of` that was started last; None without one."""
    if st.session_state.get(f"{page}.{place}_of") != of.id:
        return None
    return find(st.session_state.get(f"{page}.{place}"))


def start_branch(page: str, before: Run, plan: ExplorePlan) -> None:
    """Start a branch of the answer of `before`. Raises CandorError."""
    job = _started(plan)
    parent = in_tree(page, before)
    tree_of(page).add(Node(job.id, job, parent, plan.call.fork))
    keep(page, job, parent)
    _remember(page, job)


def retry(job: Run) -> CandorError | None:
    """Ask for the answers of a job that failed or were never started; return why that is impossible, or None.

    Pressing the button twice, for instance in two tabs, asks once.
    """
    so_far = job.result or job.partial
    if job.plan is None or so_far is None:
        return None
    try:
        _check(plan_left(job.plan, so_far))
        work = run_plan(services().engines, job.plan, owner=owner(), resume=so_far)
        goes_on = services().jobs.go_on(job, work, visitor())
    except CandorError as error:
        return error
    keep(page_of(job), goes_on)
    return None


def may_retry(job: Run) -> bool:
    """Whether the visitor may ask for the missing answers of a job."""
    return job.over and job.plan is not None and is_mine(job)


def open_saved(page: str, saved: SavedResponse, takes: Container[str] = ()) -> tuple[Run | None, CandorError | None]:
    """Read a saved response as a job; return it, or the previous job and why no new one could start.

    takes: other pages whose jobs the page shows, too.
    """
    before = current_job(page, takes)
    try:
        saved.tokenizer.check(policy())
        visitor().check_size(len(saved.data) + saved.tokenizer.size)
        job: Run = services().jobs.start(lambda _: batch_of(saved.completions()), by=visitor())
    except CandorError as error:
        return before, error
    keep(page, job)
    _remember(page, job)
    return job, None


def tree_of(page: str) -> Tree:
    """The tree of answers around the job this page shows, or a new tree.

    Answers of other people that are no longer shared are left out.
    """
    shown, who = st.session_state.get(f"{page}.job"), visitor()
    tree: Tree | None = st.session_state.get(f"{page}.tree")
    if tree is not None and tree.owner != who.owner:
        tree = None
    if tree is None and shown:
        tree = services().trees.holding(shown, who)
        if tree is None and reopen(shown) is not None:
            tree = services().trees.holding(shown, who)
    if tree is None:
        tree = services().trees.new(who)
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


def in_tree(page: str, job: Run) -> str:
    """The id of a job's answer in the page's tree, which it joins if necessary."""
    tree = tree_of(page)
    # A job that continues another one is the same answer.
    for _, node in tree.walk():
        if job in (node.job, node.job.latest):
            return node.id
    tree.add(Node(job.id, job))
    return job.id


def gone() -> bool:
    """Whether the page's address names a job that no longer exists."""
    name = st.query_params.get(_PARAMETER)
    return name is not None and find(name) is None


def _started(plan: Plan, known: Batch | None = None, replacing: Run | None = None, known_of: Plan | None = None) -> Run:
    """Start a plan, and stop the job that it replaces. Raises CandorError if the visitor may not make its calls."""
    _check(plan_left(plan, known, known_of))
    if replacing is not None and not replacing.over:
        stop(replacing)
    work = run_plan(services().engines, plan, owner=owner(), resume=known, resume_of=known_of)
    return services().jobs.start(work, plan, visitor())


def _check(calls: Sequence[Call]) -> None:
    """Raise CandorError if the visitor may not make the calls, or has no allowance for that much."""
    for each in calls:
        if each.source == NO_MODEL:
            raise InvalidRequest("No model is selected.", "Select one in the sidebar.")
        services().check_allowed(each.source)
    visitor().check_tokens(sum(each.max_new_tokens for each in calls))
    visitor().check_characters(sum(each.max_characters_read for each in calls))


def _remember(page: str, job: Run) -> None:
    st.session_state[f"{page}.job"] = job.id
    st.query_params[_PARAMETER] = job.id
