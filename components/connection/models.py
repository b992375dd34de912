"""The imported models: the selected one, and all in the account."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components.pickers.bedrock import ask_again
from components.shell.escaping import as_text, bold
from components.shell.fragments import poll_until
from components.shell.messages import as_shown, show_error
from components.shell.services import services
from lib import formatting
from lib.core.sources import AwsTarget, BedrockModel
from lib.engines.bedrock.capabilities import abilities, in_sentence, in_words
from lib.engines.bedrock.clients import partition_of_region
from lib.engines.bedrock.control_plane import Imported
from lib.engines.bedrock.permissions import as_json, least_policy


def empty_state() -> None:
    """Say how to connect to Bedrock while a local model is selected."""
    st.markdown(
        "The selected model runs on this machine. It returns everything Candor can show, and costs nothing.\n\n"
        "To use a model you fine-tuned and imported into **Amazon Bedrock** (Custom Model Import), choose **Amazon "
        "Bedrock** in the sidebar. Candor then lists your imported models, checks what the selected one can return, "
        "finds its tokenizer, and estimates what it costs."
    )


def model_facts(model: BedrockModel) -> None:
    """Show what the selected model returns, and where its tokenizer comes from."""
    account = services().account
    found, tokenizer = account.peek_abilities(model), account.peek_tokenizer(model)
    with st.container(border=True):
        st.caption(f"Selected model: {as_text(model.arn)}")
        if found is None:
            st.markdown(":shimmer[Checking what the model can return]")
        else:
            st.markdown(bold(in_sentence(found)))
            st.caption(f"Source: {as_text(found.known_by)}.")
        if tokenizer is None:
            st.markdown(":shimmer[Finding its tokenizer]")
        elif tokenizer.error is not None:
            show_error(tokenizer.error)
        elif tokenizer.value is not None:
            st.markdown(f"Tokenizer: {as_text(as_shown(tokenizer.value.where))}.")
            for error in tokenizer.value.tried:
                show_error(error)
    if found is None or tokenizer is None:
        poll_until(lambda: account.peek_abilities(model) is not None and account.peek_tokenizer(model) is not None)


def models_table(place: AwsTarget) -> None:
    """List the account's imported models, and what they can return according to their import dates."""
    st.subheader("Your imported models")
    found = services().account.models_nowait(place)
    if found is None:
        st.markdown(":shimmer[Listing your imported models]")
        return  # the sidebar polls for the answer
    if found.error is not None:
        show_error(found.error)
    elif not found.value:
        st.caption("This account has no imported models in this region. Choose another region in the sidebar.")
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
        st.caption("Based on import dates. Candor checks which formats a model takes once you select it.")
    ask_again(place, key="connection.again")


def _returns(model: Imported) -> dict[str, str]:
    words = in_words(abilities(model.created, None))
    names = ("prompt logprobs", "alternatives", "streaming", "reads")
    return {formatting.capital(name): words.get(name, "no logprobs") for name in names}


def permissions(model: BedrockModel | None, place: AwsTarget) -> None:
    """Show the minimum IAM policy, ready to copy. place: decides the partition if no model is selected."""
    uri = ""
    if model is not None:
        found = services().account.peek_details(model.place, model.arn)
        uri = found.value.s3_uri if found is not None and found.value is not None else ""
    st.caption(
        "The minimum permissions. All are read or invoke; none changes your account. If your bucket is encrypted with "
        "your own key, add kms:Decrypt for that key."
    )
    arn = "" if model is None else model.arn
    st.code(as_json(least_policy(arn, uri, partition_of_region(place.region))), language="json")
