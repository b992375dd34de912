"""What is known of the imported models: of the one in use, and of all in the account."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components.pickers.bedrock import ask_again, known_abilities
from components.shell.escaping import as_text, bold
from components.shell.fragments import poll_until
from components.shell.messages import as_shown, show_error
from components.shell.services import account
from lib.core.sources import AwsTarget, BedrockModel
from lib.engines.bedrock.capabilities import abilities, in_sentence, in_words
from lib.engines.bedrock.clients import partition_of_region
from lib.engines.bedrock.control_plane import Imported
from lib.engines.bedrock.permissions import as_json, least_policy


def empty_state() -> None:
    """Where no model of Bedrock is in use."""
    st.markdown(
        "The model in use runs on this machine: it sees everything, and costs nothing.\n\n"
        "To ask a model that you fine-tuned and imported into **Amazon Bedrock** (Custom Model Import), choose "
        "**Amazon Bedrock** in the sidebar. Candor lists your account's imported models, asks the chosen one what it "
        "can return, finds its tokenizer, and says what asking it costs."
    )


def model_facts(model: BedrockModel) -> None:
    """What the model in use returns, and where its tokenizer is from."""
    found, tokenizer = known_abilities(model), account().peek_tokenizer(model)
    with st.container(border=True):
        st.caption(f"Model in use: {as_text(model.arn)}")
        if found is None:
            st.markdown(":shimmer[Asking the model what it can return]")
        else:
            st.markdown(bold(in_sentence(found.capabilities)))
            st.caption(f"Known by: {as_text(found.known_by)}.")
        if tokenizer is None:
            st.markdown(":shimmer[Looking for its tokenizer]")
        elif tokenizer.error is not None:
            show_error(tokenizer.error)
        elif tokenizer.value is not None:
            st.markdown(f"Tokenizer: {as_text(as_shown(tokenizer.value.where))}.")
            for error in tokenizer.value.tried:
                show_error(error)
    if found is None or tokenizer is None:
        poll_until(lambda: known_abilities(model) is not None and account().peek_tokenizer(model) is not None)


def models_table(place: AwsTarget) -> None:
    """All imported models of the account, and what their import dates say they can return."""
    st.subheader("Your imported models")
    found = account().models_nowait(place)
    if found is None:
        st.markdown(":shimmer[Asking Bedrock for your models]")
        return  # the sidebar looks for the answer
    if found.error is not None:
        show_error(found.error)
    elif not found.value:
        st.caption("There are none in this region.")
    else:
        rows = [
            {
                "Name": each.name,
                "Architecture": each.architecture or "–",
                "Imported (UTC)": each.created,
                **_returns(each),
                "ARN": each.arn,
            }
            for each in found.value
        ]
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={"Imported (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
        )
        st.caption("By import date. Which of its formats a model speaks is asked once it is chosen.")
    ask_again(place, key="connection.again")


def _returns(model: Imported) -> dict[str, str]:
    words = in_words(abilities(model.created, None).capabilities)
    names = ("prompt scores", "alternatives", "streaming", "reads")
    return {name.capitalize(): words.get(name, "no logprobs") for name in names}


def permissions(model: BedrockModel | None, place: AwsTarget) -> None:
    """The least IAM policy, ready to copy. place: where AWS is asked, which decides where there is no model."""
    uri = ""
    if model is not None:
        found = account().peek_details(model.place, model.arn)
        uri = found.value.s3_uri if found is not None and found.value is not None else ""
    st.caption(
        "The least that it needs, and nothing that changes anything. Add kms:Decrypt for the key where the bucket is "
        "encrypted with one of yours."
    )
    arn = "" if model is None else model.arn
    st.code(as_json(least_policy(arn, uri, partition_of_region(place.region))), language="json")
