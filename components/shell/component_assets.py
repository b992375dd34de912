"""Components whose scripts and styles are files that the browser fetches once.

Streamlit 1.67 sends an inline script with every message of its component, which would be most of the traffic of a
growing answer. It serves files only for installed packages that its manifest scanner finds; this module registers a
folder the same way. Only this module uses Streamlit's internals for components.
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
    """Return a renderer as `st.components.v2.component` does, for a module and a style sheet in `folder`.

    Anyone who can reach the server can fetch every file in the folder. The address of the files changes with their
    content, so that browsers never use an outdated version.
    """
    content = sha256(b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()))
    full_name = f"{_PACKAGE}.{name}-{content.hexdigest()[:12]}"
    renderers: WeakKeyDictionary[Any, Callable[..., Any]] = WeakKeyDictionary()

    def render(**arguments: Any) -> Any:
        manager = get_bidi_component_manager()  # one per server; a process may have several, as in tests
        if manager not in renderers:
            config = ComponentConfig(full_name.removeprefix(f"{_PACKAGE}."), folder.name)
            manager.register_from_manifest(ComponentManifest(_PACKAGE, "1", [config]), folder.parent)
            renderers[manager] = st.components.v2.component(full_name, js=js, css=css)
        return renderers[manager](**arguments)

    return render
