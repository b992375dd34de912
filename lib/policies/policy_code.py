"""A policy as a Python function that an application calls without Candor.

The code is put together from fixed lines, numbers, and literals in ASCII: no text of a policy can be anything but a
string in it.
"""

from __future__ import annotations

import re

from lib.policies.measures import DOUBTFUL_TERMS, PROBABILITY
from lib.policies.policy import Policy
from lib.scores.confidence import CHOICE, SCORES

_WIDTH = 88  # characters of a line, as formatters have it by default
_CHUNK = 70  # characters of a literal's part
_FORMULAS = {
    "sum": "sum(scored)",
    "mean": "sum(scored) / len(scored)",
    "min": "min(scored)",
    "tenth": "sorted(scored)[(len(scored) - 1) // 10]",
    "mean and min": "0.7 * sum(scored) / len(scored) + 0.3 * max(min(scored), -10.0)",
    "first": "scored[0]",
}
_NUMBERS = {
    CHOICE: ("log_odds", "log(p / (1 - p)), with p the probability of the chosen label among the labels"),
    PROBABILITY: ("probability", "the calibrated probability that the answer is right, 0 to 1"),
    DOUBTFUL_TERMS: ("doubt", "what most_doubtful_term returns for the answer's tokens"),
}
_FROM_LOGPROBS = '''\
def decide(logprobs):
    """Return the action for an answer, by the logprobs of its tokens.

    logprobs: a list of floats in nats, without the stop token; None for an unscored one.
    In a response of Custom Model Import, by its format:
    OpenAICompletion: response["choices"][0]["logprobs"]["token_logprobs"]
    OpenAIChatCompletion:
    [each["logprob"] for each in response["choices"][0]["logprobs"]["content"]]
    BedrockCompletion:
    [value for each in response["logprobs"] for value in each.values()]

    The measure is @LABEL@.
    """
    known = [each for each in logprobs if each is not None and each == each]
    # A service writes -9999 for a probability of 0.
    scored = [each if each > -9999 else float("-inf") for each in known]
    if not scored:
        return @MISSING@
    value = @FORMULA@
'''
_FROM_NUMBER = '''\
def decide(@NAME@):
    """Return the action for an answer.

    @NAME@: @ABOUT@;
    None if it is not known.
    """
    known = @NAME@ is not None and @NAME@ == @NAME@
    if not known:
        return @MISSING@
    value = @NAME@
'''
_TERMS = r'''OPENERS = set(
    "A An And As At But For From He Her His I If In It Its Of On Or Our She So That The "
    "Their There These They This Those To We When With You Your".split()
)
ALONE = r"\u0e00-\u0eff\u3040-\u309f\u3400-\u9fff"  # scripts without spaces
LETTER = rf"[^\W_{ALONE}]"
MARK = r"[\u0300-\u036f\u0591-\u05c7\u0610-\u065f\u0900-\u0dff]"
WORD = re.compile(rf"[{ALONE}]|{LETTER}(?:{LETTER}|{MARK}|['\u2019._](?={LETTER}))*")
JOINS = {
    "name": re.compile(r"[^\S\n]|[-\u2013]|[^\S\n]?&[^\S\n]?"),
    "number": re.compile(r"[^\S\n]?[-\u2013/:][^\S\n]?|[.,]|[^\S\n]"),
}


def most_doubtful_term(tokens):
    """Return the surprisal of an answer's least likely name or number, in nats.

    tokens: (text, logprob) pairs in order, without the stop token.
    None if the answer is empty or has no logprobs, or if a token of a term has none.
    A name begins with a capital, a number with a digit; neighbours of one kind are one
    term. In scripts without capitals, each word is a term. Candor also detects dates,
    quoted terms and number words such as "eight"; this function does not.
    """
    known = [each is not None and each == each for _, each in tokens]
    if not any(known):
        return None
    text = "".join(each for each, _ in tokens)
    owner = [place for place, (each, _) in enumerate(tokens) for _ in each]
    terms, kind, end, short = [], "", 0, False
    for word in WORD.finditer(text):
        before, kind = kind, kind_of(word[0])
        end += short and text[end] == "."  # as in J. Smith or U.S. Steel
        joined = kind == before and kind in JOINS
        if joined and JOINS[kind].fullmatch(text, end, word.start()):
            terms[-1][1] = owner[word.end() - 1] + 1
        elif kind:
            terms.append([owner[word.start()], owner[word.end() - 1] + 1])
        end, short = word.end(), len(word[0]) == 1 or "." in word[0]
    if not all(all(known[first:last]) for first, last in terms):
        return None
    doubts = [sum(-each for _, each in tokens[first:last]) for first, last in terms]
    return max(doubts, default=0.0)


def kind_of(word):
    """Return "name", "number" or "other"; "" for a word that is not a term."""
    if word in OPENERS or word[0].islower():
        return ""
    if word[0].isdigit():
        return "number"
    return "name" if word[0] != word[0].lower() else "other"


'''
_WORDS = re.compile(r"[^ ]* |[^ ]+")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def as_python(policy: Policy) -> str:
    """The policy as a Python module with a function `decide`, which returns the name of an action.

    It uses nothing but the standard library, and is formatted as ruff would. `TEXTS` has the policy's texts by action,
    if it has any.
    """
    imports = ["import re", ""] if policy.measure == DOUBTFUL_TERMS else []
    lines = ['"""A confidence policy, exported from Candor."""', "", *imports, f"NAME = {literal(policy.name, 7)}"]
    if policy.note:
        lines.append(f"NOTE = {literal(policy.note, 7)}")
    if policy.texts:
        lines.append("TEXTS = {")
        for action, text in policy.texts:
            key = f'    "{action}": '
            lines.append(f"{key}{literal(text, len(key) + 1, inner=4)},")
        lines.append("}")
    return "\n".join([*lines, "", "", _head(policy) + "\n".join(_branches(policy)), ""])


def _head(policy: Policy) -> str:
    """The function up to the value that decides."""
    parts = {"MISSING": f'"{policy.missing}"'}
    if policy.measure in SCORES:
        template = _FROM_LOGPROBS
        parts |= {"LABEL": f"{policy.about.label.lower()}, in nats", "FORMULA": _FORMULAS[policy.measure]}
    else:
        template = (_TERMS if policy.measure == DOUBTFUL_TERMS else "") + _FROM_NUMBER
        parts["NAME"], parts["ABOUT"] = _NUMBERS[policy.measure]
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], template)


def _branches(policy: Policy) -> list[str]:
    lines = []
    for rule in policy.rules[:-1]:
        lines += [f"    if value >= {rule.at_least!r}:", f'        return "{rule.action}"']
    return [*lines, f'    return "{policy.rules[-1].action}"']


def literal(text: str, before: int = 0, *, inner: int = 0) -> str:
    """A text as a Python literal in ASCII, on several lines if it is long.

    before: characters of the line before and after it. inner: spaces that the line begins with.
    """
    whole = _quoted(text)
    indent = " " * (inner + 4)
    if before + len(whole) <= _WIDTH:
        return whole
    if len(indent) + len(whole) <= _WIDTH:
        return f"(\n{indent}{whole}\n{' ' * inner})"
    parts, part, size = [], "", 0
    for word in _WORDS.findall(text):
        for each in [word] if _size(word) <= _CHUNK else word:
            if part and size + _size(each) > _CHUNK:
                parts.append(part)
                part, size = "", 0
            part, size = part + each, size + _size(each)
    lines = "".join(f"{indent}{_quoted(each)}\n" for each in (*parts, part))
    return f"(\n{lines}{' ' * inner})"


def _size(text: str) -> int:
    return len(_quoted(text)) - 2


def _quoted(text: str) -> str:
    """A text as a literal on one line, in the quotes that need fewer escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return (
        quote + "".join(f"\\{each}" if each == quote else _SHORT.get(each) or _escaped(each) for each in text) + quote
    )


def _escaped(character: str) -> str:
    return character if " " <= character <= "~" else ascii(character)[1:-1]
