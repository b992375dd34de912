"""The picker of imported models without a browser: what it offers where, through Streamlit's own test runner."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from components.shell import access
from components.shell.escaping import as_text
from components.shell.services import services
from lib.access.places import check_endpoint
from lib.access.policy import Bedrock, Policy
from lib.core.sources import NO_MODEL, AwsTarget, BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.capabilities import Abilities
from lib.engines.bedrock.control_plane import Details, Imported
from lib.engines.bedrock.single_flight import Found
from lib.engines.bedrock.tokenizers import NONE, FoundTokenizer
from lib.errors import InvalidRequest, ServiceError
from lib.wire.formats import Format
from tests.components.explore.test_page import APP, opened

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"
MINE = Imported(ARN, "mine", datetime(2025, 12, 1, tzinfo=UTC), "llama")


class Known:
    """An account of which everything is known."""

    def __init__(self, models: Found[tuple[Imported, ...]] | None, formats: set[Format]) -> None:
        self.models, self.formats = models, frozenset(formats)

    def models_nowait(self, _: AwsTarget) -> Found[tuple[Imported, ...]] | None:
        return self.models

    def peek_abilities(self, _: BedrockModel) -> Abilities:
        return Abilities(self.formats, "told")

    def known_abilities(self, model: BedrockModel) -> Abilities:
        return self.peek_abilities(model)

    def choose(self, _: AwsTarget, __: str = "") -> None:
        pass

    def check(self, _: BedrockModel) -> None:
        pass

    def peek_tokenizer(self, _: BedrockModel) -> Found[FoundTokenizer]:
        return Found(FoundTokenizer(None, NONE))

    def is_aws(self, _: AwsTarget) -> bool:
        return True

    def peek_details(self, *_: Any) -> Found[Details]:
        return Found(Details(MINE, "s3://bucket/prefix/", 2, "v1.0"))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, nobody: None) -> Iterator[Known]:
    monkeypatch.setenv("CANDOR_WARM_UP", "0")
    st.cache_resource.clear()
    account = Known(Found((MINE,)), {Format.BEDROCK, Format.OPENAI, Format.CHAT})
    services().account, services().ledger = account, Ledger(Caps())  # type: ignore[assignment]
    yield account
    st.cache_resource.clear()


def on_bedrock(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> AppTest:
    monkeypatch.setattr(access, "policy_for", lambda *_, **__: policy)
    page = opened()
    page.selectbox(key="model.choice").set_value("Amazon Bedrock").run()
    assert not page.exception
    return page


def labels(page: AppTest) -> set[str]:
    return {each.label for kind in (page.selectbox, page.text_input, page.date_input) for each in kind}


def test_on_loopback_everything_is_offered(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    page = on_bedrock(monkeypatch, Policy(True))
    assert {"Region", "Imported model", "Tokenizer: directory, file or hub id", "Endpoint"} <= labels(page)
    picker = page.selectbox(key="model.imported_model")
    assert picker.options == ["mine · llama · 2025-12-01", "Enter an ARN"]
    picker.set_value("by-arn").run()
    assert "Model ARN" in labels(page)


def test_elsewhere_the_list_alone(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    page = on_bedrock(monkeypatch, Policy(False, (), Bedrock.LISTED))
    assert page.selectbox(key="model.imported_model").options == ["mine · llama · 2025-12-01"]
    hidden = {"Model ARN", "Tokenizer: directory, file or hub id", "Endpoint", "Profile"}
    assert not hidden & labels(page)


def test_elsewhere_arns_by_hand_where_the_operator_allows_them(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    page = on_bedrock(monkeypatch, Policy(False, (), Bedrock.ANY))
    page.selectbox(key="model.imported_model").set_value("by-arn").run()
    assert "Model ARN" in labels(page)
    assert "Endpoint" not in labels(page)


def test_switched_off_it_is_no_choice(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "policy_for", lambda *_, **__: Policy(False, (), Bedrock.OFF))
    assert "Amazon Bedrock" not in opened().selectbox(key="model.choice").options


def test_an_account_that_cannot_be_listed_still_takes_an_arn(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    known.models = Found(error=ServiceError("These credentials may not list.", "Add the statement below."))
    page = on_bedrock(monkeypatch, Policy(True))
    assert any("may not list" in caption.value for caption in page.caption)
    assert any(button.label == "Refresh" for button in page.button)
    page.text_input(key="model.arn").set_value("nonsense").run()
    assert any("not an ARN" in caption.value for caption in page.caption)
    assert page.session_state["model"] == NO_MODEL
    page.text_input(key="model.arn").set_value(ARN).run()
    assert page.session_state["model"].arn == ARN


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        (f"bedrock/llama/{ARN}", ""),
        (f" “{ARN}”, ", ""),
        (ARN.replace(":", "%3A").replace("/", "%2F"), ""),
        (ARN.replace("imported-model", "inference-profile"), "ARN of an inference profile"),
        (ARN.replace("imported-model", "model-import-job"), "ARN of a model import job"),
        ("s3://bucket/model/", "S3 address"),
    ],
)
def test_an_arn_is_taken_out_of_what_is_pasted_or_named(
    known: Known, monkeypatch: pytest.MonkeyPatch, pasted: str, told: str
) -> None:
    page = on_bedrock(monkeypatch, Policy(True))
    page.selectbox(key="model.imported_model").set_value("by-arn").run()
    page.text_input(key="model.arn").set_value(pasted).run()
    assert not page.exception
    if told:
        assert any(as_text(told) in caption.value for caption in page.caption)
        assert page.session_state["model"] == NO_MODEL
    else:
        assert page.session_state["model"].arn == ARN


@pytest.mark.parametrize(
    ("typed", "endpoint", "told"),
    [
        ("127.0.0.1:9911", "http://127.0.0.1:9911", ""),
        ("http:/localhost:9911/ ", "http://localhost:9911", ""),
        ("gpu-box:9911", "gpu-box:9911", "Put http:// or https:// in front of it"),
        ("us-east-1", "us-east-1", "Leave Endpoint empty"),
    ],
)
def test_an_endpoint_is_read_however_it_is_typed(
    known: Known, monkeypatch: pytest.MonkeyPatch, typed: str, endpoint: str, told: str
) -> None:
    """One that cannot be read is refused where it would be used: AWS is not asked in its place."""
    page = on_bedrock(monkeypatch, Policy(True))
    page.text_input(key="model.endpoint").set_value(typed).run()
    assert not page.exception
    assert page.session_state["model"].endpoint == endpoint
    assert page.session_state["model.place"].endpoint == endpoint
    if told:
        assert any(as_text(told) in caption.value for caption in page.caption)
        with pytest.raises(InvalidRequest):
            check_endpoint(endpoint)


@pytest.mark.parametrize(
    ("formats", "way", "k", "caption"),
    [
        ({Format.OPENAI, Format.CHAT}, True, True, "Bedrock returns prompt logprobs only with a complete answer"),
        ({Format.BEDROCK}, False, False, "doesn't return prompt logprobs"),
        ({Format.EARLY}, False, False, ""),
    ],
)
def test_the_form_greys_what_cannot_be(
    known: Known, monkeypatch: pytest.MonkeyPatch, formats: set[Format], way: bool, k: bool, caption: str
) -> None:
    known.formats = frozenset(formats)
    page = on_bedrock(monkeypatch, Policy(True))
    assert bool([each for each in page.get("button_group") if each.proto.id.endswith("explore.way")]) is way
    assert page.number_input(key="explore.k").disabled is not k
    assert page.number_input(key="explore.seed").disabled
    if caption:
        assert any(caption in each.value for each in page.caption)


def test_a_setting_of_the_operator_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_BEDROCK", "perhaps")
    st.cache_resource.clear()
    page = AppTest.from_file(APP, default_timeout=20).run()
    assert not page.exception
    assert "CANDOR_BEDROCK" in page.error[0].value.replace("\\", "")
    st.cache_resource.clear()


def test_what_is_said_of_one_model_is_not_said_of_another(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Imported(f"{ARN[:-4]}5678", "other", datetime(2025, 12, 2, tzinfo=UTC), "qwen3")
    known.models = Found((MINE, other))
    page = on_bedrock(monkeypatch, Policy(True))
    page.text_input(key=f"model.tokenizer.{ARN}").set_value("/tokenizers/mine").run()
    assert page.session_state["model"].tokenizer == "/tokenizers/mine"
    page.selectbox(key="model.imported_model").set_value(other.arn).run()
    assert page.session_state["model"] == BedrockModel(other.arn, imported=other.created.date(), region="us-east-1")  # type: ignore[union-attr]
    page.selectbox(key="model.imported_model").set_value(ARN).run()
    assert page.session_state["model"].tokenizer == "/tokenizers/mine"


def connection_page() -> None:
    from components.connection.models import permissions
    from lib.core.sources import AwsTarget, BedrockModel

    government = "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:imported-model/abc123def456"
    permissions(BedrockModel(government, region="us-east-1"), AwsTarget("us-east-1"))
    permissions(None, AwsTarget("cn-north-1"))


def test_the_policy_to_copy_is_of_the_partition_in_use(known: Known) -> None:
    page = AppTest.from_function(connection_page, default_timeout=20).run()
    assert not page.exception
    by_arn, by_region = (code.value for code in page.code)
    assert "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:imported-model/*" in by_arn
    assert "arn:aws-us-gov:s3:::bucket/prefix/*" in by_arn
    assert "arn:aws-cn:bedrock:REGION:ACCOUNT:imported-model/*" in by_region
    assert "arn:aws:" not in by_arn + by_region
