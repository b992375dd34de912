"""The Evaluate page without a browser: nothing is asked twice, grades stay, and a calibration shows elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components.policies import POLICY
from components.shell.escaping import as_text
from components.shell.services import services
from lib.core.completion import Completion, StopReason
from lib.core.request import Request
from lib.evaluation.calibration import Calibration
from lib.evaluation.examples import SUMS
from lib.jobs.engine_pool import Engines
from lib.policies.policy import Action
from lib.policies.policy_file import policy_of
from lib.statistics.maps import Kind, Map
from tests.support.app_pages import page_of, press, settled, texts
from tests.support.own_store import own_store
from tests.support.scripted_engine import ScriptedEngine, tokens_of

WEIGHTS = (("weights", "abc"),)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with own_store(tmp_path, monkeypatch):
        yield


@pytest.fixture
def engine() -> ScriptedEngine:
    """A model that adds up, and is wrong where the sum ends in 3."""

    def script(request: Request) -> Completion:
        terms = (request.prompt or "").split("\n")[-1].rstrip("=").split("+")
        total = sum(map(int, terms))
        text, logprob = ("999", -1.5) if total % 10 == 3 else (str(total), -0.1 - 0.01 * (total % 5))
        return Completion(
            request, "m", tokens_of("x"), tokens_of(text, logprob), text, StopReason.STOP, provenance=WEIGHTS
        )

    made = ScriptedEngine(script)
    services().engines = Engines(lambda _: made)
    return made


def evaluated(page: AppTest) -> str:
    """Press Evaluate and wait for the report; returns the id of the run."""
    return settled(press(page, "Evaluate"), "evaluate")


def test_only_what_is_new_is_asked(engine: ScriptedEngine) -> None:
    page = press(page_of("evaluate"), SUMS)
    evaluated(page)
    asked = len(engine.requests)
    assert asked == 150
    assert next(each for each in page.button if each.label == "Evaluate").disabled, "all of it is in the report"
    page.text_area(key="evaluate.template.2").set_value("{sum}=").run()
    assert "The report below already has 150 of 300 answers." in texts(page)
    evaluated(page)
    assert len(engine.requests) == 2 * asked
    assert "Prompt 2" in texts(page)
    page.selectbox(key="evaluate.rule").set_value("exact").run()
    evaluated(page)
    assert len(engine.requests) == 2 * asked, "grading by another rule asks nothing"


def test_a_grade_set_by_hand_stays_with_the_run(engine: ScriptedEngine) -> None:
    page = press(page_of("evaluate"), SUMS)
    run_id = evaluated(page)
    before = page.metric[0].value
    press(page, "Count as wrong")
    assert "1 grade set by hand." in texts(page)
    assert page.metric[0].value != before
    again = page_of("evaluate", run_id)
    assert "1 grade set by hand." in texts(again)
    assert again.metric[0].value == page.metric[0].value
    press(again, "Restore the rule's grade")
    assert page_of("evaluate", run_id).metric[0].value == before


def test_answers_narrowed_by_a_click_are_those_of_the_run_that_is_shown(engine: ScriptedEngine) -> None:
    page = press(page_of("evaluate"), SUMS)
    evaluated(page)
    page.text_area(key="evaluate.template.2").set_value("{sum}=").run()
    engine.script = lambda request: Completion(request, "m", tokens_of("x"), tokens_of("0", -0.3), "0")
    run_id = evaluated(page)
    press(page, "Lost")
    assert "right only before" in texts(page)
    page.selectbox(key="evaluate.side.2").set_value(0).run()
    assert "right only before" not in texts(page), "of another prompt"
    press(page, "Lost")
    press(page, SUMS)
    evaluated(page)
    assert page.session_state["evaluate.job"] != run_id
    assert "right only before" not in texts(page), "of another run"


def test_labels_that_never_match_are_said_first(engine: ScriptedEngine) -> None:
    engine.script = lambda request: Completion(request, "m", tokens_of("x"), tokens_of("none", -0.3), "none")
    page = press(page_of("evaluate"), SUMS)
    evaluated(page)
    assert page.warning[0].value.startswith("No answer matches its label.")
    assert len(page.dataframe[0].value) == 5


@pytest.mark.parametrize("mode", ["raw", "chat"])
def test_empty_answers_are_said_to_be_empty(engine: ScriptedEngine, mode: str) -> None:
    engine.script = lambda request: Completion(request, "m", tokens_of("x"), tokens_of(""), "", StopReason.STOP)
    page = press(page_of("evaluate"), SUMS)
    page.segmented_control(key="evaluate.mode").set_value(mode).run()
    evaluated(page)
    assert page.warning[0].value.startswith("All answers are empty")
    assert ("choose Chat" in page.warning[0].value) == (mode == "raw")
    assert "All answers are empty, so the report can't assess confidence." in texts(page)


def test_what_too_few_right_answers_show_is_not_offered_for_use(engine: ScriptedEngine) -> None:
    adds_up, seen = engine.script, []

    def script(request: Request) -> Completion:
        seen.append(request)
        done = adds_up(request)
        return done if len(seen) <= 5 else Completion(request, "m", done.prompt, tokens_of("9999", -0.4), "9999")

    engine.script = script
    page = press(page_of("evaluate"), SUMS)
    evaluated(page)
    assert "No calibration is fitted to" in texts(page)
    assert not [each for each in page.button if each.label == "Use for this model"]


def test_the_report_says_what_it_is_about_and_judges_the_probability_that_is_chosen(engine: ScriptedEngine) -> None:
    page = press(page_of("evaluate"), SUMS)
    run_id = evaluated(page)
    again = page_of("evaluate", run_id)
    for each in (page, again):
        about = texts(each).replace("\\", "").replace(":small[]", "")
        assert "Mode: raw" in about
        assert "Rule: number" in about
        assert "Max new tokens: 4" in about
        assert "150 questions" in about
        assert "{sum}=" in about

    def verdicts() -> set[str]:
        return set(next(each.value for each in page.dataframe if "Verdict" in each.value)["Verdict"])

    assert page.segmented_control(key="evaluate.which").value == "Recalibrated"
    assert "not judged" not in verdicts()
    page.segmented_control(key="evaluate.which").set_value("As the model states it").run()
    assert verdicts() == {"not judged"}
    assert "This is the probability of the answer's wording." in texts(page)


def test_a_calibration_in_use_shows_on_explore_and_rank() -> None:
    def explore() -> None:
        import streamlit as st

        from components.explore.summary import summary
        from components.rank.results import ranking
        from lib.display.token_map_view import TokenMapView

        summary(TokenMapView(st.session_state["done"]))
        ranking([st.session_state["done"]])

    done = Completion(Request("x"), "m", tokens_of("x"), tokens_of("four", -0.25), "four", provenance=WEIGHTS)
    made = Calibration(Map(Kind.PLATT, 1.0), "sum", 200, "SmolLM2", "embedded", "abc", "sums")
    page = AppTest.from_function(explore)
    page.session_state["done"] = done
    page.session_state["calibrations"] = [made.as_json()]
    page.run()
    assert not page.exception, page.exception
    metric = next(each for each in page.metric if each.label == "Probability of being right")
    assert metric.value == "26.9%"  # 1 / (1 + e), of four tokens at −0.25
    assert as_text("Calibrated, n = 200, SmolLM2, Sum of logprobs.") in metric.help
    assert "calibrated, n = 200, SmolLM2, Sum of logprobs" in texts(page)
    assert list(page.dataframe[0].value["Probability of being right"]) == ["26.9%"]
    assert "eyond" not in texts(page)
    beyond = AppTest.from_function(explore)
    beyond.session_state["done"] = done
    beyond.session_state["calibrations"] = [{**made.as_json(), "scores": [-0.5, -0.1], "tokens": [1, 4]}]
    beyond.run()
    assert "Beyond what it was fitted on:" in texts(beyond)
    assert list(beyond.dataframe[0].value["Probability of being right"]) == ["37.8% (beyond)"]  # as for −0.5
    other = AppTest.from_function(explore)
    other.session_state["done"] = done
    other.session_state["calibrations"] = [{**made.as_json(), "weights": "other"}]
    assert not [each for each in other.run().metric if each.label == "Probability of being right"]


def test_a_guaranteed_threshold_becomes_a_policy(engine: ScriptedEngine) -> None:
    page = press(page_of("evaluate"), SUMS)
    evaluated(page)
    press(page, "Use in Doubts")
    assert "In use: choose" in texts(page)
    policy = policy_of(page.session_state[POLICY])
    assert policy.measure == "sum"
    assert policy.rules[0].action is Action.ANSWER
    assert "certainty, at most" in policy.note
