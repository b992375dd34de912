"""The Doubts page without a browser: what is flagged, what the policy does, follow-ups, and further looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components.policies import POLICY
from components.shell.services import services
from lib.access.visitor import ALONE
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.sources import LocalModel
from lib.core.tokens import TokenKind
from lib.doubts.measured import Measured, keep_measured
from lib.doubts.verdicts import P_TRUE
from lib.doubts.words import Gate
from lib.engines.base import Capabilities
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.policies.policy import READY
from lib.policies.policy_file import as_json
from lib.statistics.bootstrap import Interval
from lib.studies.exploration import ExplorePlan
from tests.support.answers import answer_of
from tests.support.app_pages import page_of, press, settled, texts
from tests.support.asking import over
from tests.support.own_store import own_store
from tests.support.scripted_engine import ScriptedEngine

TEXT = "The capital of Zorgland is Zorgopolis."
LISTS = {" Zorgopolis.": ((" Zorgopolis.", -2.0), (" Zor", -1.0), (" Paris.", -1.5))}
LOGPROBS = {" Zorgopolis.": -2.0, " Zorgland": -0.5}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with own_store(tmp_path, monkeypatch):
        yield


@pytest.fixture
def engine() -> ScriptedEngine:
    """A model that makes up a capital."""

    def script(request: Request) -> Completion:
        text = "Yes" if "Is the proposed answer correct?" in request.last_user_text else TEXT
        made = answer_of(text, LOGPROBS, lists=LISTS if text == TEXT else {"Yes": (("Yes", -0.5), ("No", -1.5))})
        return replace(made, request=request)

    made = ScriptedEngine(script)
    services().engines = Engines(lambda _: made)
    return made


def asked(engine: ScriptedEngine) -> AppTest:
    assert not engine.requests
    page = page_of("doubts")
    page.text_area(key="doubts.prompt").set_value("What is the capital of Zorgland?").run()
    settled(press(page, "Find doubts"), "doubts")
    return page


def test_an_answer_is_read_and_the_policy_decides(engine: ScriptedEngine) -> None:
    page = asked(engine)
    assert "A flag marks words that the model found unlikely" in texts(page)
    assert "is not measured on this model" in texts(page)
    assert "**Verify first**" in texts(page)  # 2 nats, above the usual threshold
    assert "Most doubtful name or number: 2.00 nats." in texts(page)
    draft = next(each for each in page.text_area if each.label == "Draft")
    assert "“Zorgopolis”" in draft.value
    page.selectbox(key="doubts.policy").set_value("Support desk").run()
    assert "No calibration of this model is in use" in texts(page)
    assert "**Send to a person**" in texts(page)


def test_a_follow_up_is_sent_with_one_press(engine: ScriptedEngine) -> None:
    page = asked(engine)
    first = page.session_state["doubts.job"]
    page.segmented_control(key="doubts.follow.kind.verify").set_value("Retrieval query").run()
    draft = next(each for each in page.text_area if each.label == "Draft")
    draft.set_value("capital of Zorgland, sources").run()
    settled(press(page, "Send"), "doubts")
    assert page.session_state["doubts.job"] != first
    assert engine.requests[-1].last_user_text == "capital of Zorgland, sources"
    assert page.text_area(key="doubts.prompt").value == "capital of Zorgland, sources"


def test_an_edited_draft_is_not_kept_for_another_answer(engine: ScriptedEngine) -> None:
    page = asked(engine)
    draft = next(each for each in page.text_area if each.label == "Draft")
    first = draft.value
    draft.set_value("mine").run()
    page.segmented_control(key="doubts.gate").set_value(Gate.TERMS).run()
    assert next(each for each in page.text_area if each.label == "Draft").value == "mine"
    engine.script = lambda request: replace(
        answer_of(TEXT.replace("Zorgopolis", "Borgopolis"), {" Borgopolis.": -2.0}), request=request
    )
    settled(press(page, "Send"), "doubts")
    again = next(each for each in page.text_area if each.label == "Draft").value
    assert "“Borgopolis”" in again
    assert again != first


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P(True) of the engine's model is measured."""
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "data"))
    auroc = {P_TRUE: Interval(0.61, 0.52, 0.7, 90)}
    keep_measured(Measured("", "m", "development", "2026-11-30", 2, np.array([True, False]), {}, auroc))


@pytest.mark.usefixtures("measured")
def test_second_looks_have_a_price_and_say_what_they_found(engine: ScriptedEngine) -> None:
    page = asked(engine)
    page.number_input(key="doubts.looks.samples").set_value(3).run()
    page.checkbox(key="doubts.looks.verdict").set_value(True).run()
    press(page, "Look again")
    job = services().jobs.find(page.session_state["doubts.looks"], ALONE)
    assert job is not None
    assert job.wait(60)
    page.run()
    (table,) = [each.value for each in page.dataframe if "In samples" in each.value]
    assert table["Flagged"].tolist() == ["Zorgopolis"]
    assert table["In samples"].tolist() == ["3 of 3"]
    assert next(each for each in page.metric if each.label.startswith("P(True)")).value == "73.1%"
    assert "On 90 labelled answers of this model, the AUROC of P(True) is 0.61 (0.52 to 0.70)" in texts(page)
    assert len(engine.requests) == 3  # the answer, three samples at once, and the verdict


def test_a_verdict_that_is_not_measured_on_the_model_is_neither_asked_for_nor_shown(engine: ScriptedEngine) -> None:
    page = asked(engine)
    box = page.checkbox(key="doubts.looks.verdict")
    assert box.disabled
    assert "candor evaluate-doubts --verdict" in box.help
    page.session_state["doubts.looks.verdict"] = True  # as chosen for another model
    page.number_input(key="doubts.looks.samples").set_value(2).run()
    settled(press(page, "Look again"), "doubts")
    assert not any("Is the proposed answer correct?" in each.last_user_text for each in engine.requests)
    assert not page.metric


def test_labels(engine: ScriptedEngine) -> None:
    page = asked(engine)
    page.text_area(key="doubts.labels.typed").set_value("The\nA").run()
    table = next(each.value for each in page.dataframe if "Label" in each.value)
    assert table["Label"].tolist() == ["The", "A", "(undecided)", "(others)"]
    page.text_area(key="doubts.labels.typed").set_value("The\nthe").run()
    assert "are the same" in " ".join(each.value for each in page.error)


def test_answers_of_other_pages_and_of_a_model_without_alternatives(engine: ScriptedEngine) -> None:
    engine.can = {True: Capabilities(max_k=1), False: Capabilities(max_k=1)}
    engine.script = lambda request: replace(answer_of(TEXT, LOGPROBS), request=request)
    plan = ExplorePlan(Call(LocalModel("/models/mine"), Request("Where?", k=1)))
    batch = over(services().engines, *plan.calls())
    job = services().jobs.start(lambda _: batch, plan, ALONE)
    assert job.wait(10)
    page = page_of("doubts", job.id)
    assert "**Verify first**" in texts(page)
    assert page.text_area(key="doubts.prompt").value == "Where?"
    page.selectbox(key="doubts.method").set_value("entropy").run()
    assert "Highest entropy needs 5 alternatives per position; this answer has 1." in texts(page)
    assert page.session_state["doubts.job"] == job.id


@pytest.mark.parametrize("text", ["...", "x", "好", "\u202e\u202d", '{"a": [1, "b', "👩‍👩‍👧"])
def test_an_answer_of_little(engine: ScriptedEngine, text: str) -> None:
    engine.script = lambda request: replace(answer_of(text, pieces=[text]), request=request)
    page = asked(engine)
    assert "doubts.job" in page.session_state


def test_a_policy_of_ones_own_is_kept_and_a_broken_one_is_not_used(engine: ScriptedEngine) -> None:
    page = asked(engine)
    own = replace(READY["Answer or verify"], name="Mine", note="")
    page.session_state[POLICY] = as_json(own)
    page.selectbox(key="doubts.policy").set_value("Your own").run()
    assert not page.exception
    assert page.text_input[-1].value == "Mine"
    assert "def decide" in page.code[-1].value
    page.session_state[POLICY] = json.loads('{"kind": "candor policy", "ranges": "all"}')
    page.run()
    assert not page.exception
    assert "**Verify first**" in texts(page)


@pytest.mark.parametrize(
    ("gate", "text", "said"),
    [
        (Gate.TERMS, "it is so.", "no names, numbers, dates or quoted terms. Choose more words above."),
        (Gate.CONTENT, "it is so.", "no names, numbers or content words. Choose all words above."),
        (Gate.ALL, "...", "no words to flag."),
    ],
)
def test_an_answer_without_terms_has_an_action_all_the_same(
    engine: ScriptedEngine, gate: Gate, text: str, said: str
) -> None:
    engine.script = lambda request: replace(answer_of(text), request=request)
    page = asked(engine)
    page.segmented_control(key="doubts.gate").set_value(gate).run()
    assert said in texts(page)
    assert "no name, number, date or quoted term, which counts as 0 nats" in texts(page)
    page.selectbox(key="doubts.policy").set_value("Bulk extraction").run()
    assert "**Answer**" in texts(page)


def test_a_link_brings_the_parameters_of_its_run(engine: ScriptedEngine) -> None:
    request = Request("Where?", max_tokens=7, temperature=0.3)
    plan = ExplorePlan(Call(LocalModel("/models/mine"), request))
    batch = over(services().engines, *plan.calls())
    job = services().jobs.start(lambda _: batch, plan, ALONE)
    assert job.wait(10)
    page = page_of("doubts", job.id)
    assert page.number_input(key="doubts.max_tokens").value == 7
    assert page.slider(key="doubts.temperature").value == 0.3


def test_the_fields_of_a_huge_answer_are_read_once_and_the_table_is_bounded(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps([{"a": each, "b": True} for each in range(600)])
    engine.script = lambda request: replace(answer_of(text), request=request)
    page = asked(engine)
    assert "The table shows the first 1,000 of 1,200 fields." in texts(page)
    assert len(next(each.value for each in page.dataframe if "Field" in each.value)) == 1_000
    monkeypatch.setattr("components.doubts.json_answer.fields_of", lambda *_: pytest.fail("read again"))
    page.selectbox(key="doubts.policy").set_value("Research").run()
    assert not page.exception


@pytest.mark.parametrize("typed", ["{}", '{"a": 5}', '{"properties": {"a": {"type": "string"}}}', "[1]", "[" * 9_999])
def test_values_of_fields_that_say_nothing_are_refused(engine: ScriptedEngine, typed: str) -> None:
    engine.script = lambda request: replace(answer_of('{"a": "b"}'), request=request)
    page = asked(engine)
    page.text_area(key="doubts.schema").set_value(typed).run()
    (error,) = page.error
    assert "of any field" in error.value or "values of fields are not" in error.value
    assert any("Field" in each.value for each in page.dataframe)
    page.text_area(key="doubts.schema").set_value('{"a": ["b", "c"]}').run()
    assert not page.error


def test_why_there_is_no_value(engine: ScriptedEngine) -> None:
    forced = [TokenKind.FORCED] * len(TEXT.split())
    engine.script = lambda request: replace(answer_of(TEXT, LOGPROBS, kinds=forced), request=request)
    page = asked(engine)
    assert "Most doubtful name or number: unknown, as tokens of this answer have no logprobs or are forced." in texts(
        page
    )
    assert "**Send to a person**" in texts(page)
    page.session_state[POLICY] = as_json(replace(READY["Support desk"], measure="choice", note=""))
    page.selectbox(key="doubts.policy").set_value("Your own").run()
    assert "This measure compares candidates, so a single answer has no value." in texts(page)


def test_what_was_measured_on_the_model_is_said_with_its_day(
    engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "data"))
    scores = {"sum": np.array([2.0, 0.5, 3.0])}
    when = "2026-11-30T15:24:16+00:00"
    keep_measured(Measured("", "m", "development", when, 2, np.array([True, False, False]), scores, {}))
    page = asked(engine)
    assert "On 3 labelled facts in 2 answers, 1 of them wrong" in texts(page)
    assert "m, development part, 2026-11-30." in texts(page)
