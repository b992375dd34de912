"""The policy that a visitor has made or taken over: what an application does at which confidence."""

from __future__ import annotations

import streamlit as st

from lib.errors import BadFile
from lib.policies.policy import Policy
from lib.policies.policy_file import as_json, policy_of

POLICY = "policy"  # the setting: the policy as JSON values


def own_policy() -> Policy | None:
    """The visitor's own policy; None without one."""
    values = st.session_state.get(POLICY)
    if not values:
        return None
    try:
        return policy_of(values)
    except BadFile:
        return None


def use_policy(policy: Policy) -> None:
    """Make a policy the visitor's own, instead of an earlier one."""
    st.session_state[POLICY] = as_json(policy)
