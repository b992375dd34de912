"""Signing in, where the operator has set it up: an `[auth]` section in Streamlit's secrets."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st


def is_asked() -> bool:
    """Whether visitors have to sign in here."""
    return st.user.get("is_logged_in") is not None  # it has no such value where there is no [auth]


def is_set_up() -> bool:
    """Whether the operator has set signing in up. Unlike `is_asked` it may be called from any thread."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def identity() -> str:
    """Who has signed in: the provider, and its name for them, which another provider may use, too. "" for nobody."""
    if not st.user.get("is_logged_in"):
        return ""
    return f"{st.user.get('iss') or st.user.get('provider')}|{st.user.get('sub') or st.user.get('email')}"


def stop_until_signed_in() -> None:
    """End the run with a way to sign in, where that is asked of visitors and this one has not."""
    if not is_asked() or identity():
        return
    st.title("Sign in to go on")
    st.markdown("What you ask here is kept for you, and no other visitor sees it unless you share it.")
    for name in _providers():
        label = "Sign in" if not name else f"Sign in with {name.capitalize()}"
        st.button(
            label, key=f"sign_in.{name}", icon=":material/login:", type="primary", on_click=st.login, args=(name,)
        )
    if "run" in st.query_params:
        st.caption("Then open the link once more: signing in leads to the first page.")
    st.stop()


def who_is_here() -> None:
    """Who has signed in, and a way out."""
    if not identity():
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text(st.user.get("name") or st.user.get("email") or "Signed in", width="content")
        st.button("Sign out", key="sign_in.out", icon=":material/logout:", type="tertiary", on_click=st.logout)


def _providers() -> list[str | None]:
    """The names of the providers to choose from; None alone where the operator has named none."""
    named = [str(name) for name, value in st.secrets["auth"].items() if isinstance(value, Mapping)]
    return [*named] or [None]
