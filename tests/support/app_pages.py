"""A page without a browser: press its buttons, and run it again once its job is over."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from components.shell.services import services
from lib.access.visitor import ALONE


def page_of(script: Callable[[], None], run_id: str = "") -> AppTest:
    """A page opened at its address, with a run's id in it if there is one."""
    page = AppTest.from_function(script, default_timeout=60)
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
