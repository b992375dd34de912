"""A page without a browser: press its buttons, and run it again once its job is over."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from components.shell.services import services
from lib.access.visitor import ALONE


def _show(name: str) -> None:
    """The script of a page, with a model of a test's own."""
    from importlib import import_module

    import streamlit as st

    from lib.core.sources import LocalModel

    st.session_state["model"] = LocalModel("/models/mine")
    getattr(import_module(f"components.{name}.page"), name.upper()).show()


def page_of(name: str, run_id: str = "") -> AppTest:
    """The page of that name, opened at its address, with a run's id in it if there is one."""
    page = AppTest.from_function(_show, default_timeout=60, args=(name,))
    if run_id:
        page.query_params["run"] = run_id
    page.run()
    assert not page.exception, page.exception
    return page


def texts(page: AppTest) -> str:
    """What captions and paragraphs say, without the escapes of foreign text."""
    found = "\n".join(each.value for each in (*page.caption, *page.markdown))
    return found.replace("\\", "").replace(":small[]", "")


def press(page: AppTest, label: str) -> AppTest:
    """Press the first button whose label begins so."""
    next(each for each in page.button if each.label.startswith(label)).click().run()
    assert not page.exception, page.exception
    return page


def settled(page: AppTest, name: str) -> str:
    """Run the page called so again once its job is over; returns the id of the run."""
    run_id: str = page.session_state[f"{name}.job"]
    job = services().jobs.find(run_id, ALONE)
    assert job is not None
    assert job.wait(60)
    page.run()
    assert not page.exception, page.exception
    return run_id
