"""Sign-in, if the operator has set it up with an `[auth]` section in Streamlit's secrets."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from lib import formatting


def is_asked() -> bool:
    """Whether visitors must sign in."""
    return st.user.get("is_logged_in") is not None  # the value is missing without an [auth] section


def is_set_up() -> bool:
    """Whether the operator has set up sign-in. Unlike `is_asked`, this may be called from any thread."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def identity() -> str:
    """The signed-in user as "provider|subject", as two providers may use the same subject; "" if not signed in."""
    if not st.user.get("is_logged_in"):
        return ""
    return f"{st.user.get('iss') or st.user.get('provider')}|{st.user.get('sub') or st.user.get('email')}"


def stop_until_signed_in() -> None:
    """End the run with a sign-in form if visitors must sign in and this one has not."""
    if not is_asked() or identity():
        return
    st.title("Sign in to Candor")
    st.markdown("Your runs are saved to your account. Other visitors see a run only if you share it.")
    for name in _providers():
        label = "Sign in" if not name else f"Sign in with {formatting.capital(name)}"
        st.button(
            label, key=f"sign_in.{name}", icon=":material/login:", type="primary", on_click=st.login, args=(name,)
        )
    if "run" in st.query_params:
        st.caption("After signing in, open your link again: sign-in takes you to the first page.")
    st.stop()


def who_is_here() -> None:
    """Show who is signed in, and a button to sign out."""
    if not identity():
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text(st.user.get("name") or st.user.get("email") or "Signed in", width="content")
        st.button("Sign out", key="sign_in.out", icon=":material/logout:", type="tertiary", on_click=st.logout)


def _providers() -> list[str | None]:
    """The names of the providers to choose from; None alone if the operator has named none."""
    named = [str(name) for name, value in st.secrets["auth"].items() if isinstance(value, Mapping)]
    return [*named] or [None]
