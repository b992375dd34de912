"""When faults are met, on a clock that the test turns."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import InvalidRequest
from lib.serve.faults import KINDS, CallFacts, Fault, Faults, fault_from, read_fault
from lib.wire.formats import Format

CALL = CallFacts("current", Format.OPENAI, "invoke")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def faults(*texts: str) -> tuple[Faults, Clock]:
    clock = Clock()
    made = Faults(clock)
    made.set([read_fault(text) for text in texts])
    return made, clock


def test_a_line_and_an_object_make_the_same_fault() -> None:
    line = read_fault("error:code=ThrottlingException,times=2,model=current,operation=stream,form=CHAT")
    values = {"kind": "error", "code": "ThrottlingException", "times": 2, "model": "current", "operation": "stream"}
    assert line == fault_from({**values, "form": "CHAT", "seconds": None})
    assert read_fault("latency:seconds=0.25") == Fault("latency", seconds=0.25)
    assert read_fault("trimmed") == Fault("trimmed")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("nonsense", "There is no fault 'nonsense'"),
        ("", "There is no fault ''"),
        ("error", "needs code"),
        ("missing", "needs field"),
        ("throttle", "needs rate"),
        ("error:code=Oops", "has no error Oops"),
        ("stream-error:code=AccessDeniedException", "has no error AccessDeniedException"),
        ("latency:seconds=soon", "seconds is 'soon'"),
        ("latency:seconds=-1", "out of range"),
        ("latency:seconds=nan", "out of range"),
        ("latency:seconds=inf", "out of range"),
        ("splits:size=0", "out of range"),
        ("trimmed:times=-1", "out of range"),
        ("trimmed:times=1e3", "times is '1e3'"),
        ("trimmed:colour=red", "has no field 'colour'"),
        ("cut:where=elsewhere", "where is 'elsewhere'"),
        ("trimmed:form=openai", "form is 'openai'"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, cause: str) -> None:
    with pytest.raises(InvalidRequest, match=cause) as raised:
        read_fault(text)
    assert raised.value.remedy


@given(st.dictionaries(st.sampled_from([*Fault.__dataclass_fields__, "x"]), st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans(), st.lists(st.text()))))  # fmt: skip # noqa: E501
def test_anything_gives_a_fault_or_a_clear_refusal(values: dict[str, object]) -> None:
    with contextlib.suppress(InvalidRequest):
        assert fault_from(values).kind in KINDS


def test_only_so_often_and_the_next_of_its_kind_follows() -> None:
    made, _ = faults("error:code=ThrottlingException,times=2", "error:code=InternalServerException,times=1", "trimmed")
    codes = [made.meets(CALL).get("error") for _ in range(5)]
    assert [each and each.code for each in codes] == [
        "ThrottlingException", "ThrottlingException", "InternalServerException", None, None,
    ]  # fmt: skip
    assert [fault.kind for fault in made.all] == ["trimmed"]
    assert "trimmed" in made.meets(CALL)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("trimmed:model=current", True),
        ("trimmed:model=other", False),
        ("trimmed:form=OPENAI", True),
        ("trimmed:form=CHAT", False),
        ("trimmed:operation=invoke", True),
        ("trimmed:operation=stream", False),
        ("trimmed:times=0", False),
        ("stream-error:code=ThrottlingException", False),
    ],
)
def test_which_calls_meet_it(text: str, met: bool) -> None:
    made, _ = faults(text)
    assert bool(made.meets(CALL)) == met


def test_a_cold_model_wakes_up_some_time_after_its_first_call() -> None:
    made, clock = faults("cold-start:seconds=20")
    clock.now += 1000  # nobody has called, so nothing has begun
    assert made.refuses("current") == "ModelNotReadyException"
    clock.now += 19.9
    assert made.refuses("current") == "ModelNotReadyException"
    clock.now += 0.1
    assert made.refuses("current") == ""
    assert made.refuses("early") == "ModelNotReadyException"  # each for itself


def test_an_idle_model_is_put_away() -> None:
    made, clock = faults("eviction:idle=60,seconds=5,model=current")
    assert made.refuses("current") == ""
    clock.now += 60
    assert made.refuses("current") == ""
    clock.now += 61
    assert made.refuses("current") == "ModelNotReadyException"
    clock.now += 5
    assert made.refuses("current") == ""
    clock.now += 1000
    assert made.refuses("early") == ""


def test_a_model_that_takes_longer_than_it_is_kept_can_still_be_reached() -> None:
    made, clock = faults("eviction:idle=1,seconds=30")
    assert made.refuses("current") == ""
    clock.now += 2
    assert made.refuses("current") == "ModelNotReadyException"
    clock.now += 30.5
    assert made.refuses("current") == ""


def test_a_rate() -> None:
    made, clock = faults("throttle:rate=2,times=3")
    assert [made.refuses("current") for _ in range(4)] == ["", "", "ThrottlingException", "ThrottlingException"]
    clock.now += 0.5
    assert [made.refuses("current") for _ in range(2)] == ["", "ThrottlingException"]
    assert [made.refuses("current") for _ in range(5)] == [""] * 5  # three times, and that was all


def test_setting_faults_begins_anew() -> None:
    made, clock = faults("cold-start:seconds=5")
    made.refuses("current")
    clock.now += 6
    assert made.refuses("current") == ""
    made.set([read_fault("cold-start:seconds=5")])
    assert made.refuses("current") == "ModelNotReadyException"
    made.set([])
    assert made.refuses("current") == ""
