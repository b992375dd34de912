"""Components whose scripts and styles are files that the browser fetches once.

Streamlit sends an inline script along with every message of its component, which would be most of what a growing answer
sends. Files it serves for installed packages only, as its manifest scanner finds them; this registers a folder of ours
in the same way. It is the one place that uses Streamlit's internals for components.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

_PACKAGE = "candor"


def component(name: str, folder: Path, *, js: str, css: str) -> Callable[..., Any]:
    """A renderer like `st.components.v2.component` gives, for a module and a style sheet in `folder`.

    All files of the folder can be fetched by whoever reaches the server. Their address changes with their content, so
    that no browser keeps an older version.
    """
    content = sha256(b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()))
    full_name = f"{_PACKAGE}.{name}-{content.hexdigest()[:12]}"
    renderers: WeakKeyDictionary[Any, Callable[..., Any]] = WeakKeyDictionary()

    def render(**arguments: Any) -> Any:
        manager = get_bidi_component_manager()  # of this server; a process may see several, as in tests
        if manager not in renderers:
            config = ComponentConfig(full_name.removeprefix(f"{_PACKAGE}."), folder.name)
            manager.register_from_manifest(ComponentManifest(_PACKAGE, "1", [config]), folder.parent)
            renderers[manager] = st.components.v2.component(full_name, js=js, css=css)
        return renderers[manager](**arguments)

    return render
