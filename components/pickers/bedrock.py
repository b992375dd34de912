"""Choose an imported model on Amazon Bedrock. Credentials come from boto3's own chain, never from a field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import streamlit as st

from components.shell.escaping import as_text
from components.shell.fragments import poll_until
from components.shell.messages import as_shown
from components.shell.services import services
from components.shell.settings import among
from lib.access.policy import Bedrock, Policy
from lib.core.pasted_arn import as_arn
from lib.core.pasted_endpoint import as_endpoint
from lib.core.sources import AwsTarget, BedrockModel
from lib.engines.bedrock.capabilities import in_sentence
from lib.engines.bedrock.clients import REGIONS, profiles, usual_region
from lib.engines.bedrock.control_plane import Imported
from lib.engines.bedrock.single_flight import Found
from lib.errors import InvalidRequest, ServiceError
from lib.wire.formats import Format

_BY_ARN = "by-arn"


def bedrock_picker(policy: Policy) -> BedrockModel | None:
    """Show the picker; return the imported model, None while none is selected."""
    place = st.session_state["model.place"] = _place(policy)
    # Each part has its own container, so that nothing below moves while something is being looked up.
    with st.container():
        arn, listed = _arn(policy, place)
    shown = st.container()
    model = st.session_state["model.imported"] = _model(policy, place, arn, listed)
    if model is not None:
        with shown:
            _show_abilities(model)
    return model


def ask_again(place: AwsTarget, *, key: str) -> None:
    """Show a button that looks everything up again, including credentials."""
    if st.button("Refresh", key=key, icon=":material/refresh:", type="tertiary"):
        services().account.ask_again(place)
        st.rerun()


def _place(policy: Policy) -> AwsTarget:
    """Profile, region and endpoint to call. On a shared server, only the operator sets profile and endpoint."""
    profile = ""
    if policy.open and (known := _profiles()):
        among("model.profile", ["", *known])
        profile = st.selectbox(
            "Profile", ["", *known], key="model.profile", persist_state="session",
            format_func=lambda name: name or "Default credentials",
            help="From this machine's AWS configuration. For an SSO profile, run `aws sso login` first.",
        )  # fmt: skip
    usual = _usual_region(profile)
    regions = list(dict.fromkeys([usual, *REGIONS] if usual else REGIONS))
    if not policy.open:
        among("model.region", regions)
    region = st.selectbox(
        "Region", regions, key="model.region", persist_state="session", accept_new_options=policy.open,
        help="Custom Model Import is available in us-east-1, us-east-2, us-west-2 and eu-central-1.",
    )  # fmt: skip
    endpoint, _ = _endpoint(str(st.session_state.get("model.endpoint") or "")) if policy.open else ("", None)
    place = AwsTarget((region or "").strip(), profile or "", endpoint)
    services().account.choose(place)
    return place


def _endpoint(typed: str) -> tuple[str, InvalidRequest | None]:
    """(endpoint, error). An invalid endpoint is returned unchanged: AWS must not be called instead."""
    try:
        return as_endpoint(typed), None
    except InvalidRequest as error:
        return typed.strip(), error


# Every run of the page needs these; they are read again every few seconds at most.
_profiles = st.cache_data(ttl=10, show_spinner=False)(profiles)
_usual_region = st.cache_data(ttl=10, max_entries=64, show_spinner=False)(usual_region)


def _arn(policy: Policy, place: AwsTarget) -> tuple[str, Imported | None]:
    """(ARN, its entry in the account's list). The ARN is "" while no model is selected."""
    found = services().account.models_nowait(place)
    models = {each.arn: each for each in (found.value if found is not None else None) or ()}
    _state_of_list(found, place)
    chosen = _listed_or_by_arn(models, by_hand=policy.bedrock is Bedrock.ANY)
    if chosen != _BY_ARN:
        # A browser may send a value that is not in the list.
        return (chosen, models[chosen]) if chosen in models else ("", None)
    typed = st.text_input(
        "Model ARN", key="model.arn", persist_state="session",
        placeholder="arn:aws:bedrock:us-east-1:123456789012:imported-model/…",
    )  # fmt: skip
    try:
        arn = as_arn(typed)
    except InvalidRequest as error:
        st.caption(f"{as_text(error.cause)} {as_text(error.remedy)}")
        return "", None
    return arn, models.get(arn)


def _state_of_list(found: Found[tuple[Imported, ...]] | None, place: AwsTarget) -> None:
    """Say why there is no list of models."""
    if found is None:
        st.markdown(":shimmer[Listing your imported models]")
        poll_until(lambda: services().account.models_nowait(place) is not None)
    elif found.error is not None:
        missing = isinstance(found.error, ServiceError) and found.error.statement
        remedy = "Connection shows the missing policy statement." if missing else found.error.remedy
        st.caption(f"{as_text(as_shown(found.error.cause))} {as_text(as_shown(remedy))}")
        ask_again(place, key="model.again")
    elif not found.value:
        st.caption(f"This account has no imported models in {as_text(place.region)}. Choose another region.")
        ask_again(place, key="model.again")


def _listed_or_by_arn(models: Mapping[str, Imported], *, by_hand: bool) -> str | None:
    """The chosen ARN of the list, `_BY_ARN`, or None. by_hand: whether visitors may type an ARN."""
    options = [*models, *([_BY_ARN] if by_hand else [])]
    if not models:
        return options[0] if options else None
    among("model.imported_model", options)
    return st.selectbox(
        "Imported model", options, key="model.imported_model", persist_state="session",
        format_func=lambda arn: _named(models[arn]) if arn in models else "Enter an ARN",
    )  # fmt: skip


def _model(policy: Policy, place: AwsTarget, arn: str, listed: Imported | None) -> BedrockModel | None:
    """The model with its settings, None without an ARN. Settings are stored by ARN: each model has its own."""
    imported = listed.created.date() if listed is not None and listed.created is not None else None
    with st.expander("Tokenizer, format, endpoint"):
        tokenizer = _tokenizer(arn) if policy.open else ""
        if arn and imported is None:
            imported = _import_date(arn)
        among(f"model.form.{arn}", ["", *Format.__members__])
        form = st.selectbox(
            "Format", ["", *Format.__members__], key=f"model.form.{arn}", persist_state="session",
            format_func=_format_name,
        )  # fmt: skip
        continues, endpoint = _connection(arn) if policy.open else (False, "")
    if not arn:
        return None
    model = BedrockModel(arn, tokenizer, imported, form or "", place.region, place.profile, endpoint, continues)
    services().account.choose(model.place, tokenizer)
    return model


def _tokenizer(arn: str) -> str:
    return st.text_input(
        "Tokenizer: directory, file or hub id", key=f"model.tokenizer.{arn}", persist_state="session",
        placeholder="Auto-detect",
        help="Bedrock returns token ids. Their text comes from the tokenizer that was imported with the model, which "
        "Candor reads from S3. A path given here takes precedence; a hub id is used if S3 cannot be read.",
    ).strip()  # fmt: skip


def _import_date(arn: str) -> date | None:
    found: date | None = st.date_input(
        "Imported on", None, key=f"model.imported.{arn}", persist_state="session",
        help="Needed if Candor may not ask Bedrock for it. It decides what the model can return: no logprobs before "
        "2025-07-31, Bedrock's own format until 2025-11-11, three formats since.",
    )  # fmt: skip
    return found


def _connection(arn: str) -> tuple[bool, str]:
    """(whether chats are continued as chats, endpoint)."""
    continues = st.toggle(
        "Continue chats as chats", key=f"model.continues.{arn}", persist_state="session",
        help="Branches of a chat are sent as raw text with the model's template. If a model accepts only chats, try "
        "continue_final_message instead. It is not known whether Bedrock passes it on.",
    )  # fmt: skip
    typed = st.text_input(
        "Endpoint", key="model.endpoint", persist_state="session", placeholder="AWS",
        help="Base URL of another server with Bedrock's API, such as the local Bedrock.",
    )  # fmt: skip
    endpoint, wrong = _endpoint(typed)
    if wrong is not None:
        st.caption(f"{as_text(wrong.cause)} {as_text(wrong.remedy)}")
    return continues, endpoint


def _show_abilities(model: BedrockModel) -> None:
    account = services().account
    account.peek_tokenizer(model)  # so that it is there when the first answer arrives
    found = account.peek_abilities(model)
    if found is None:
        st.markdown(":shimmer[Checking what the model can return]")
        poll_until(lambda: account.peek_abilities(model) is not None)
        return
    st.caption(as_text(in_sentence(found)))
    if found.asleep:
        st.caption("Cold. The first call loads the model, which can take several minutes.")


def _named(model: Imported) -> str:
    day = f"{model.created:%Y-%m-%d}" if model.created is not None else ""
    return " · ".join(part for part in (model.name, model.architecture, day) if part)


def _format_name(form: str) -> str:
    """A format's name, short enough for the sidebar."""
    if not form:
        return "Auto-detect"
    return "BedrockCompletion (early)" if form == Format.EARLY.name else str(Format[form])
