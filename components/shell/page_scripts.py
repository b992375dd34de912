"""Where the scripts of the pages are, for links from one to another."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "pages"
# By the last part of a page's address. Whole paths: Streamlit looks for others beside the script it runs.
SCRIPTS = {file.stem: str(file) for file in sorted(_FOLDER.glob("*.py"))}
