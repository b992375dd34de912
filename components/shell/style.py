"""CSS for what Streamlit's theme has no option for: spacing, sticky details, contrast, printing."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
/* Streamlit's own CSV export leaves formulas for a spreadsheet to run; Candor's export neutralizes them. */
button[aria-label^="Download as CSV"] { display: none; }
[data-testid="stMainBlockContainer"] { padding-top: 3.25rem; }
/* Streamlit's captions have an opacity of 0.6, which gives 3.8:1 on white. WCAG AA needs 4.5:1. */
[data-testid="stCaptionContainer"][data-testid] { opacity: 0.78; }
/* The selected segment has the accent as its text colour: 3.5:1 in the dark theme, where buttons need it dark. */
button[data-selected="true"], button[data-selected="true"] * { color: inherit !important; }
/* So has the value of a slider. */
[data-testid="stSliderThumbValue"], [data-testid="stSliderThumbValue"] * { color: inherit !important; }
/* The keys that ask are named in the button's tooltip; on its face they are wide, and too faint to read. */
[data-testid^="stBaseButton"] kbd { display: none; }
/* The colours of code give 2.5:1 to 4:1, in both themes; keywords are bold instead. */
[data-testid="stCode"] .token { color: inherit !important; }
[data-testid="stCode"] .token.keyword, [data-testid="stCode"] .token.function { font-weight: 600; }
@media (min-width: 641px) {
  [data-testid="stColumn"]:has(.st-key-detail) { position: sticky; top: 4rem; align-self: start; }
}
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stForm"] button,
  [data-testid="stDownloadButton"], [data-testid="stButton"], [data-testid="stPopover"], [data-testid="stButtonGroup"],
  .st-key-tree, .st-key-branch { display: none !important; }
  .stApp, [data-testid="stAppViewContainer"], [data-testid="stMain"], [data-testid="stMainBlockContainer"] {
    background: #fff !important; color: #222 !important; display: block !important; height: auto !important;
    overflow: visible !important; position: static !important;
  }
  [data-testid="stMainBlockContainer"] { padding: 0 !important; }
}
</style>
"""


def page_style() -> None:
    """Add the style sheet to the page. app.py calls this once."""
    st.html(_CSS)
