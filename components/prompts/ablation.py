"""What helped: how likely an answer is after each prompt, and what each sentence of its own prompt contributes."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components.difference_map import difference_map
from components.jobs.current_job import Run, job_beside, start_beside
from components.jobs.estimate import budget
from components.jobs.job_view import JobView
from components.pickers.capabilities import limits_of
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.core.completion import Completion
from lib.core.request import Mode
from lib.jobs.batch import Batch
from lib.jobs.plan import places_of
from lib.scores.alignment import aligned
from lib.studies.ablation import AblationPlan, Helped, helped
from lib.studies.prompt_comparison import PromptsPlan

_PAGE = "prompts"
_SHOWN = 70  # characters of an answer in the list
_FALL = "Drop without it (nats)"


def what_helped(job: Run, plan: PromptsPlan, batch: Batch) -> None:
    """Offer the ablation of one answer of a finished comparison, and show its result below."""
    answers = {
        place: each.completion
        for place, each in enumerate(batch.outcomes)
        if each.completion is not None and each.completion.text.strip()
    }
    if not answers:
        return
    st.subheader("What helped?")
    if not limits_of(plan.source, chat=plan.mode is Mode.CHAT, ask=False).can.scores_candidates:
        st.caption("This model doesn't return prompt logprobs, so it can't score text you supply.")
        return
    st.caption(
        "Scores one answer after each prompt, and after its own prompt with one sentence left out at a time. Nothing "
        "new is generated."
    )
    _choose_and_start(job, plan, answers)
    if (beside := job_beside(_PAGE, job)) is not None:
        _VIEW.show(beside)


def _choose_and_start(job: Run, plan: PromptsPlan, answers: dict[int, Completion]) -> None:
    """answers: by their place in the job."""
    calls = plan.calls()
    places = places_of(calls)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        place = st.selectbox(
            "Answer", list(answers), key="prompts.helped.answer",
            format_func=lambda at: f"Prompt {places[at] + 1}: {formatting.beginning(answers[at].text, _SHOWN)}",
        )  # fmt: skip
        requests = tuple(each.request for each in calls)
        ablation = AblationPlan(plan.source, requests, places[place], answers[place].text)
        pressed = st.button("Analyze", icon=":material/troubleshoot:", key="prompts.helped.go")
        st.caption(budget(ablation.calls()), width="content")
    if pressed:
        error = start_beside(_PAGE, ablation, job)
        if error is not None:
            show_error(error)


def _results(job: Run, batch: Batch) -> None:
    if isinstance(job.plan, AblationPlan):
        helped_by(job.plan, batch)


_VIEW = JobView(f"{_PAGE}.beside", _results, "What helped", answer_name=lambda _, place: f"Text {place + 1}")


def helped_by(plan: AblationPlan, batch: Batch) -> None:
    """Show the result of an ablation."""
    found = helped(plan, batch)
    if found is not None:
        _parts(found)
        _prompts(found)


def _parts(found: Helped) -> None:
    """Show what each sentence of the answer's own prompt contributes."""
    own, prompt = found.own + 1, found.prompts[found.own]
    if not found.parts:
        st.caption(f"Prompt {own} has only one sentence, so there is nothing to leave out.")
        return
    st.markdown(f"**How much each sentence of prompt {own} helps its answer**")
    ends = [0, *(part.end for part in found.parts)]
    starts = [*(part.start for part in found.parts), len(prompt)]
    difference_map(
        [prompt[part.start : part.end] for part in found.parts], found.logprob_drops, key="prompts.helped.parts",
        around=[prompt[end:start] for end, start in zip(ends, starts, strict=True)],
        ends=("more likely without it", "helps"), label="How much each sentence of the prompt helps the answer",
    )  # fmt: skip
    sentences = [formatting.visible(prompt[part.start : part.end]).replace("·", " ") for part in found.parts]
    st.dataframe(
        pd.DataFrame({"Sentence": sentences, _FALL: found.logprob_drops}).sort_values(_FALL, ascending=False),
        hide_index=True,
        column_config={
            _FALL: st.column_config.NumberColumn(
                format="%.3f", help="How much the answer's log-probability drops when this sentence is left out."
            )
        },
    )


def _prompts(found: Helped) -> None:
    """Compare the answer after its own prompt with the answer after each of the others."""
    own = found.by_prompt[found.own]
    if own is None:
        return
    for number, other in enumerate(found.by_prompt):
        if number == found.own or other is None:
            continue
        spans = aligned(other.generated, own.generated)
        st.markdown(
            f"**The answer after prompt {found.own + 1}, compared with prompt {number + 1}:** "
            f"{as_text(formatting.signed(float(spans.differences.sum()), 3))} nats"
        )
        difference_map(
            spans.texts, spans.differences, around=spans.around, key=f"prompts.helped.{number}",
            ends=(f"more likely after prompt {number + 1}", f"after prompt {found.own + 1}"),
            label="The answer, shaded by which of two prompts makes each part more likely",
        )  # fmt: skip
