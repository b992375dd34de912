"""The token map as a standalone HTML file that works offline and sends no requests.

Its scripts, style sheet and columns are those of the app, bundled and deflated; a loader of a few lines inflates and
starts them. The file's content security policy allows only that loader and the code it created. A host may add a policy
that blocks the loader or the styles. The page therefore also holds prompt and answer as plain text, which the loader
removes once the map is drawn.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import zlib
from datetime import datetime
from functools import cache
from pathlib import Path

import minify_html

from components.token_map.flags import flag_part
from components.token_map.frames import SHARED, framed
from lib import formatting
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.tokens import Tokens
from lib.display.flags import Flags
from lib.display.token_map_view import TokenMapView
from lib.scores.token_scores import Summary, summarise_answer, summarise_prompt
from lib.segmentation.cells import split
from lib.segmentation.char_classes import marked

_BROWSER = Path(__file__).parent / "browser"
# In order: each module after the ones it imports.
_MODULES = (
    *(
        "shared",
        "words",
        "frame",
        "colours",
        "flags",
        "flag_entries",
        "flag_panel",
        "cells",
        "tooltip",
        "controls",
        "blocks",
        "tip",
        "pin",
        "keyboard",
        "passage",
    ),
    *("picture", "beside", "token_map"),
)
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_BLANKS = re.compile("^ |(?<= ) | (?= )")  # spaces that HTML would drop
_COMMENT = re.compile(r"^\s*(?://[^\n]*|/\*\*.*?\*/)\n", re.MULTILINE | re.DOTALL)

_LOADER = """
const bytes = (id) => Uint8Array.from(atob(document.getElementById(id).textContent), (each) => each.charCodeAt(0));
const inflated = (id) => new Response(new Blob([bytes(id)]).stream().pipeThrough(new DecompressionStream("deflate")));
const [style, code, data] = await Promise.all([
  inflated("style").text(), inflated("code").blob(), inflated("data").arrayBuffer(),
]);
const { default: draw } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
const page = document.documentElement;
const root = document.getElementById("map").attachShadow({ mode: "open" });
const sheet = new CSSStyleSheet();
sheet.replaceSync(style);
root.adoptedStyleSheets = [sheet];
new MutationObserver((_, drawn) => {
  if (!root.querySelector(".text i")) return;
  drawn.disconnect();
  document.getElementById("plain")?.remove();
}).observe(root, { childList: true });
const show = () => draw({ data: new Uint8Array(data), parentElement: root, setStateValue: () => {} });
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = document.getElementById("theme");
theme.hidden = false;
theme.onclick = () => {
  const is = page.dataset.theme ?? (dark.matches ? "dark" : "light");
  page.dataset.theme = is === "dark" ? "light" : "dark";
  show();
};
dark.onchange = show;
show();
"""

_STYLE = """
:root { --st-background-color: #ffffff; --st-text-color: #31333f; --st-primary-color: #3b5bdb; color-scheme: light;
  --st-font: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { DARK } }
:root[data-theme="dark"] { DARK }
body { background: var(--st-background-color); color: var(--st-text-color); font: 16px/1.5 system-ui, sans-serif;
  margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
p, ul { margin: .25rem 0; overflow-wrap: anywhere; }
.quiet { font-size: .875rem; opacity: .75; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 2rem; margin: 1rem 0 1.25rem; }
dt { font-size: .8125rem; opacity: .75; } dd { font-size: 1.25rem; font-variant-numeric: tabular-nums; margin: 0; }
button { background: none; border: 1px solid currentColor; border-radius: .375rem; color: inherit; cursor: pointer;
  float: right; font: inherit; font-size: .8125rem; opacity: .75; padding: .125rem .625rem; }
#plain { animation: wait .5s; } /* the script is nearly always sooner */
@keyframes wait { from, to { visibility: hidden } }
#text { border: 1px solid; border-radius: .375rem; padding: .75rem 1rem; }
@media print { :root, :root[data-theme] { LIGHT } body { max-width: none; padding: 0 } button { display: none }
  #plain { animation: none } }
""".replace(
    "DARK",
    "--st-background-color: #0e1117; --st-text-color: #fafafa; --st-primary-color: #5b76f7; color-scheme: dark;",
).replace("LIGHT", "--st-background-color: #ffffff; --st-text-color: #222222; color-scheme: light;")


def to_html(done: Completion, made: datetime | None = None, flags: Flags | None = None) -> bytes:
    """A completion as an HTML file in UTF-8.

    made: the time written on it; now by default.
    flags: passages to mark and list; their `threshold` is the one that the file opens with.
    """
    view = TokenMapView(done)
    part, about = flag_part(view, flags)
    options = {"key": "file", "live": False, "deflated": False, "whole": True, "file": True, "shared": SHARED} | about
    day = f"{made or datetime.now().astimezone():%Y-%m-%d %H:%M}"
    page = _PAGE.format(
        policy=_policy(),
        title=html.escape(f"How sure was {done.model} of every token?"),
        style=_STYLE,
        model=html.escape(done.model),
        asked=html.escape(" · ".join([*_asked(done.request), f"saved {day}"])),
        numbers=_numbers(summarise_answer(done), summarise_prompt(done), done),
        warnings="".join(f'<p class="quiet">{html.escape(warning)}</p>' for warning in done.warnings),
        plain=_plain(done),
        sheet=_sheet(),
        code=_bundle(),
        data=_base64(zlib.compress(framed(options, view.packed() + part), 9)),
        loader=_LOADER,
    )
    return page.encode("utf-8", "replace")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{style}</style></head>
<body><button id="theme" type="button" hidden>Light or dark</button><h1>How sure was the model of every token?</h1>
<p><strong>{model}</strong></p><p class="quiet">{asked}</p>{warnings}<dl>{numbers}</dl><div id="map"></div>
{plain}
<p class="quiet">A probability is how sure the model was of its words. It is not the chance that the answer is true.</p>
<script type="text/plain" id="style">{sheet}</script><script type="text/plain" id="code">{code}</script>
<script type="text/plain" id="data">{data}</script><script type="module">{loader}</script></body></html>
"""


def _policy() -> str:
    script, style = _digest(_LOADER), _digest(_STYLE)
    return f"default-src 'none'; script-src '{script}' blob:; style-src '{style}'; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"sha256-{_base64(hashlib.sha256(text.encode()).digest())}"


def _asked(request: Request | None) -> list[str]:
    """The parameters of the request, as far as they are known."""
    if request is None:
        return []
    drawn = [] if request.temperature == 0 else [f"top-p {request.top_p:g}"] * (request.top_p < 1)
    seed = [] if request.seed is None else [f"seed {request.seed}"]
    kind = "chat" if request.prompt is None else "raw text"
    return [kind, f"temperature {request.temperature:g}", *drawn, *seed, f"at most {request.max_tokens:,} tokens"]


def _numbers(answer: Summary, prompt: Summary, done: Completion) -> str:
    found = [
        ("Answer, mean logprob", formatting.nats(answer.mean_logprob)),
        ("Answer, perplexity", formatting.number(answer.perplexity, 2)),
        ("Prompt, perplexity", formatting.number(prompt.perplexity, 2)),
        ("Answer tokens", f"n = {answer.scored:,}"),
        ("Prompt tokens", f"n = {prompt.scored:,}"),
    ]
    if done.ended:
        found.append(("Ended by", done.ended))
    return "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in found)


def _plain(done: Completion) -> str:
    """Prompt and answer as plain text, for pages where scripts are blocked; "" without any text.

    Lines stay as they are and long ones wrap, even without style sheets.
    """
    prompt, answer = map(_lines, (done.prompt, done.generated))
    if not prompt and not answer:
        return ""
    return (
        '<div id="plain"><p class="quiet">This is the text, the answer in bold. The map needs the script of this page, '
        "which did not run here. Save the file and open it from your disk to see the map.</p>"
        f'<p id="text" dir="auto">{prompt}<b>{answer}</b></p></div>'
    )


def _lines(tokens: Tokens) -> str:
    text = split(tokens.pieces, tokens.refs).text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    lines = html.escape(marked(text).expandtabs(4)).splitlines(keepends=True)
    kept = (_BLANKS.sub(lambda found: "\u00a0" * len(found[0]), line.rstrip("\r\n")) for line in lines)
    return "".join(each + "<br>" * line.endswith(("\r", "\n")) for each, line in zip(kept, lines, strict=True))


@cache
def _bundle() -> str:
    """All modules as one script, minified and deflated, in base64."""
    parts = []
    for name in _MODULES:
        source = (_BROWSER / f"{name}.js").read_text(encoding="utf-8")
        parts.append(_COMMENT.sub("", _EXPORT.sub("", _IMPORT.sub("", source))))
    return _minified("\n".join(parts), '<script type="module">', "</script>", minify_js=True)


@cache
def _sheet() -> str:
    """The style sheet, minified and deflated, in base64."""
    source = (_BROWSER / "token_map.css").read_text(encoding="utf-8")
    return _minified(source, "<style>", "</style>", minify_css=True)


def _minified(source: str, opening: str, closing: str, **options: bool) -> str:
    """The content of one element, minified and deflated, in base64."""
    element = minify_html.minify(f"{opening}{source}{closing}", keep_closing_tags=True, **options)
    content = element[element.index(">") + 1 :].removesuffix(closing)
    return _base64(zlib.compress(content.encode(), 9))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
