"""Which imported model of Amazon Bedrock answers. Credentials come from boto3's own chain, never from a field."""

from __future__ import annotations

import streamlit as st

from components.shell.escaping import as_text
from components.shell.fragments import poll_until
from components.shell.messages import as_shown
from components.shell.services import account
from lib.access.policy import Bedrock, Policy
from lib.core.bedrock_names import as_arn, as_endpoint
from lib.core.sources import AwsTarget, BedrockModel
from lib.engines.bedrock.capabilities import Abilities, by_hand, in_sentence
from lib.engines.bedrock.clients import REGIONS, profiles, usual_region
from lib.engines.bedrock.control_plane import Imported
from lib.errors import InvalidRequest, ServiceError
from lib.wire.formats import Format

_BY_ARN = "by-arn"


def bedrock_picker(policy: Policy) -> BedrockModel | None:
    """The imported model in use, None while none is chosen."""
    place = st.session_state["model.place"] = _place(policy)
    # Each part has a place of its own: what stands below does not move when something is still being looked up.
    with st.container():
        arn, listed = _arn(policy, place)
    shown = st.container()
    model = _model(policy, place, arn, listed)
    if model is not None:
        with shown:
            _show_abilities(model)
    return model


def ask_again(place: AwsTarget, *, key: str) -> None:
    """A button that looks everything up anew, credentials included."""
    if st.button("Ask again", key=key, icon=":material/refresh:", type="tertiary"):
        account().ask_again(place)
        st.rerun()


def known_abilities(model: BedrockModel, *, ask: bool = True) -> Abilities | None:
    """What is known of what a model can return, None while it is not. ask: whether to ask the model now."""
    if model.form in Format.__members__:
        return by_hand(Format[model.form])
    return account().peek_abilities(model) if ask else account().known_abilities(model)


def _place(policy: Policy) -> AwsTarget:
    """Where to ask. Profiles and other addresses are the operator's, where others can reach the page."""
    profile = ""
    if policy.open and (known := _profiles()):
        profile = st.selectbox(
            "Profile", ["", *known], key="model.profile", persist_state="session",
            format_func=lambda name: name or "Default credentials",
            help="From this machine's AWS configuration. SSO profiles need `aws sso login` first.",
        )  # fmt: skip
    usual = _usual_region(profile)
    regions = list(dict.fromkeys([usual, *REGIONS] if usual else REGIONS))
    region = st.selectbox(
        "Region", regions, key="model.region", persist_state="session", accept_new_options=policy.open,
        help="Custom Model Import is in us-east-1, us-east-2, us-west-2 and eu-central-1.",
    )  # fmt: skip
    endpoint, _ = _endpoint(str(st.session_state.get("model.endpoint") or "")) if policy.open else ("", None)
    place = AwsTarget((region or "").strip(), profile or "", endpoint)
    account().choose(place)
    return place


def _endpoint(typed: str) -> tuple[str, InvalidRequest | None]:
    """(endpoint, why it is none). An unreadable one is returned unchanged: AWS must not be called in its place."""
    try:
        return as_endpoint(typed), None
    except InvalidRequest as error:
        return typed.strip(), error


# Read anew every few seconds only: every run of the page asks.
_profiles = st.cache_data(ttl=10, show_spinner=False)(profiles)
_usual_region = st.cache_data(ttl=10, max_entries=64, show_spinner=False)(usual_region)


def _arn(policy: Policy, place: AwsTarget) -> tuple[str, Imported | None]:
    """(ARN, what the list says of it). The ARN is "" while none is chosen."""
    found = account().models_nowait(place)
    models = {each.arn: each for each in (found.value if found is not None else None) or ()}
    by_hand = policy.bedrock is Bedrock.ANY
    if found is None:
        st.markdown(":shimmer[Asking Bedrock for your models]")
        poll_until(lambda: account().models_nowait(place) is not None)
    elif found.error is not None:
        missing = isinstance(found.error, ServiceError) and found.error.statement
        remedy = "Connection has the statement that is missing." if missing else found.error.remedy
        st.caption(f"{as_text(as_shown(found.error.cause))} {as_text(as_shown(remedy))}")
        ask_again(place, key="model.again")
    elif not models:
        st.caption(f"This account has no imported models in {as_text(place.region)}. Choose another region.")
        ask_again(place, key="model.again")
    options = [*models, *([_BY_ARN] if by_hand else [])]
    if not options:
        chosen = None
    elif list(options) == [_BY_ARN]:
        chosen = _BY_ARN
    else:
        chosen = st.selectbox(
            "Imported model", options, key="model.imported_model", persist_state="session",
            format_func=lambda arn: _named(models[arn]) if arn in models else "Another, by its ARN",
        )  # fmt: skip
    if chosen != _BY_ARN:
        # A browser may send what is not in the list.
        return (chosen, models[chosen]) if chosen in models else ("", None)
    typed = st.text_input(
        "ARN of the imported model", key="model.arn", persist_state="session",
        placeholder="arn:aws:bedrock:us-east-1:123456789012:imported-model/…",
    )  # fmt: skip
    try:
        arn = as_arn(typed)
    except InvalidRequest as error:
        st.caption(f"{as_text(error.cause)} {as_text(error.remedy)}")
        return "", None
    return arn, models.get(arn)


def _model(policy: Policy, place: AwsTarget, arn: str, listed: Imported | None) -> BedrockModel | None:
    # What is said of a model is kept by its ARN: it is not true of another.
    imported = listed.created.date() if listed is not None and listed.created is not None else None
    with st.expander("Tokenizer, format, endpoint"):
        tokenizer = endpoint = ""
        continues = False
        if policy.open:
            tokenizer = st.text_input(
                "Its tokenizer: directory, file or hub id", key=f"model.tokenizer.{arn}", persist_state="session",
                placeholder="found by itself",
                help="Bedrock sends token ids; their text comes from the tokenizer imported with the model, which is "
                "read from S3. A path given here goes before that, a hub id is used where S3 cannot be read.",
            ).strip()  # fmt: skip
        if arn and imported is None:
            imported = st.date_input(
                "Imported on", None, key=f"model.imported.{arn}", persist_state="session",
                help="Where Bedrock may not be asked for it. Decides what the model can return: no logprobs before "
                "2025-07-31, its own format until 2025-11-11, three formats since.",
            )  # fmt: skip
        form = st.selectbox(
            "Format", ["", *Format.__members__], key=f"model.form.{arn}", persist_state="session",
            format_func=_format_name,
        )  # fmt: skip
        if policy.open:
            continues = st.toggle(
                "Continue chats as chats", key=f"model.continues.{arn}", persist_state="session",
                help="Branches of a chat are sent as raw text with the model's template. Where a model takes chats "
                "only, continue_final_message may do instead; whether Bedrock passes it on is not known.",
            )  # fmt: skip
            typed = st.text_input(
                "Endpoint", key="model.endpoint", persist_state="session", placeholder="AWS",
                help="Another address that speaks Bedrock's API, such as the local Bedrock's.",
            )  # fmt: skip
            endpoint, wrong = _endpoint(typed)
            if wrong is not None:
                st.caption(f"{as_text(wrong.cause)} {as_text(wrong.remedy)}")
    if not arn:
        return None
    model = BedrockModel(arn, tokenizer, imported, form or "", place.region, place.profile, endpoint, continues)
    account().choose(model.place, tokenizer)
    return model


def _show_abilities(model: BedrockModel) -> None:
    account().peek_tokenizer(model)  # so that it is there when the first answer comes
    found = known_abilities(model)
    if found is None:
        st.markdown(":shimmer[Asking the model what it can return]")
        poll_until(lambda: known_abilities(model) is not None)
        return
    st.caption(as_text(in_sentence(found.capabilities)))
    if found.asleep:
        st.caption("It sleeps. The first call wakes it, which may take minutes.")


def _named(model: Imported) -> str:
    day = f"{model.created:%Y-%m-%d}" if model.created is not None else ""
    return " · ".join(part for part in (model.name, model.architecture, day) if part)


def _format_name(form: str) -> str:
    """A format's name, short enough for the sidebar."""
    if not form:
        return "By what the model speaks"
    return "BedrockCompletion (early)" if form == Format.EARLY.name else str(Format[form])
