"""Texts that markdown would turn into something else, in every place where a page may show them.

Run by test_text.py, which chooses the place with `?where=`.
"""

from __future__ import annotations

HOSTILE = [
    "see https://evil.example/x now", "www.evil.example", "WWW.E.EXAMPLE HTTPS://E.EXAMPLE ftp://e.example",
    "mail a.b@evil.example please", "mailto:x@evil.example xmpp:foo@bar.baz", "user@localhost", "<https://e.example>",
    "[x](https://e.example) ![x](https://e.example/i.png)", "[x]: https://e.example", "[^1] [^1]: foot",
    ":material/home: :material/", ":smile: :+1: :a:b:c:", ":red[x] :blue-background[y] :small[z] :badge[q] :shimmer[s]",
    ":streamlit: ::name[x]{a=b} :::note", "a -> b <- c -- d ~= e <-> f >= g <= h != i --- j ... k => l",
    "&copy; &#169; &amp; &lt;b&gt; &#x41; a&b;c", "<b>x</b><img src=x onerror=alert(1)><script>1</script>",
    "x\n===", "x\n---", "\n\n    code", "x\n\n    code", "\tcode", "```\nx\n```", "~~~\nx\n~~~", "- a\n- b", "* a\n* b",
    "+ x", "1. a\n2. b", "1) x", "> q", "# h", "#h", "x\n# h\ny", "| a | b |\n|---|---|\n| 1 | 2 |", "===", "---",
    "***", "* * *", "- [ ] task", "$x^2$ $$y$$ \\(z\\)", "**b** *i* _u_ ~~s~~ `c` ^a^ ~b~", "\\", "a\\", "a  \nb\\\nc",
    "\u2028x\u2029y\x0bz\x0c", "a\r\nb\rc", "x\n\n===\n\n---\n\ny", "{x} {{y}} {a=b} %%x%%",
    "it's \"q\" (c) (r) +- 1/2",
    "é 漢字 😀 1\ufe0f\u20e3 \u200b ＷＷＷ．e.example", "http:\u200b//x.example https://[::1]/",
    " ends ", "[", "]", "`", "a]b",
]  # fmt: skip
# Replaced by U+FFFD: characters that can't be shown, or that would reverse the text after them.
CONTROLS = ["\0", "\ud800", "\udfff", "\x1b[31m", "\u202eabc", "\u2066x"]


def page() -> None:
    """Draw the page."""
    import streamlit as st

    from components.shell.escaping import as_lines, as_text, bold
    from components.shell.messages import show_error, show_warnings
    from lib.errors import CandorError
    from lib.segmentation.char_classes import plain

    where = st.query_params.get("where", "text")
    for number, text in enumerate(HOSTILE + CONTROLS):
        word = as_text(text)
        with st.container(key=f"at{number}"):
            if where == "text":
                st.markdown(word)
                st.caption(bold(text))
                st.markdown(f":blue-background[+ {word}]")
                st.markdown(f":shimmer[{word}] · 1 s")
            elif where == "lines":
                st.markdown(as_lines(text))
            elif where == "notices":
                show_error(CandorError(text, text))
                show_warnings((text,))
            elif where == "labels":
                st.button(word, key=f"button{number}")
                st.checkbox(word, key=f"check{number}")
                st.expander(word, key=f"expander{number}")
                st.selectbox(f"{word}.", [plain(text)], key=f"select{number}")
    st.write("That is all")


if __name__ == "__main__":
    page()
