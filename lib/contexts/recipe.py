"""The pruning as a Python function with boto3 alone, for a pipeline without Candor.

The code is put together from fixed lines, numbers and literals in ASCII: no text of the user can be anything but a
string in it.
"""

from __future__ import annotations

import re

from lib.contexts.prompting import check_template, filled
from lib.contexts.pruning import Keep, Rule
from lib.contexts.scorings import DRAFT, QUESTION
from lib.core.sources import BedrockModel, Source
from lib.errors import InvalidRequest
from lib.policies.policy_code import literal
from lib.wire.formats import Format

_HEAD = '''\
"""Keep the passages that a question needs, exported from Candor.

import boto3
client = boto3.client("bedrock-runtime", region_name=REGION)
kept = prune(client, question, passages)
"""

import json
from concurrent.futures import ThreadPoolExecutor

MODEL = @MODEL@
REGION = @REGION@
# The prompt is BEFORE + passage + BETWEEN + question + AFTER.
BEFORE = @BEFORE@
BETWEEN = @BETWEEN@
AFTER = @AFTER@


def prune(client, question, passages):
    """Return the passages to keep, as pairs of score and text, best first.

    client: of boto3's bedrock-runtime. passages: a list of texts.
    """
    with ThreadPoolExecutor(@CONCURRENCY@) as pool:
        scores = list(pool.map(lambda text: score(client, question, text), passages))
    pairs = sorted(zip(scores, passages), key=lambda pair: pair[0], reverse=True)
    return @KEPT@


def invoke(client, body):
    """Send a request to the model, and return its response."""
    response = client.invoke_model(modelId=MODEL, body=json.dumps(body))
    return json.loads(response["body"].read())


def mean(logprobs):
    """Return the mean of logprobs, without tokens of probability 0, in nats."""
    # A service writes -9999 for a probability of 0.
    finite = [each for each in logprobs if each is not None and each > -9999]
    return sum(finite) / len(finite) if finite else float("-inf")


'''
_QUESTION = '''\
def score(client, question, passage):
    """Return the mean logprob of the question's tokens after a passage, in nats.

    Nothing is generated but the one token that the service requires.
    """
    prompt = BEFORE + passage + BETWEEN + question + AFTER
    asked = {@PROMPT@}
    answer = invoke(
        client, {**asked, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 1}
    )
    # The prompt's own token is the first of each entry; the first entry is empty.
    entries = answer@WHERE@["prompt_logprobs"]
    tokens = [next(iter(each.values())) for each in entries if each]
    text, places = "", []
    for token in tokens:  # white space is left out, as some tokenizers change it
        piece = "".join((token["decoded_token"] or "").split())
        places.append((len(text), len(text) + len(piece), token["logprob"]))
        text += piece
    wanted = "".join(question.split())
    start = text.rfind(wanted + "".join(AFTER.split()))  # AFTER may have the same words
    if start < 0:
        raise ValueError("The question was not found among the prompt's tokens.")
    end = start + len(wanted)
    return mean([logprob for a, b, logprob in places if a < end and b > start])
'''
_DRAFTS = {
    Format.OPENAI: '''\
def score(client, question, passage):
    """Return the mean logprob of a short answer's tokens, in nats."""
    prompt = BEFORE + passage + BETWEEN + question + AFTER
    body = {"prompt": prompt, "max_tokens": @DRAFT@, "temperature": 0, "logprobs": 1}
    choice = invoke(client, body)["choices"][0]
    logprobs = choice["logprobs"]["token_logprobs"]
    # The stop token is not part of the answer.
    return mean(logprobs[:-1] if choice["finish_reason"] == "stop" else logprobs)
''',
    Format.CHAT: '''\
def score(client, question, passage):
    """Return the mean logprob of a short answer's tokens, in nats."""
    prompt = BEFORE + passage + BETWEEN + question + AFTER
    messages = [{"role": "user", "content": prompt}]
    body = {"messages": messages, "max_tokens": @DRAFT@, "temperature": 0, "logprobs": True}
    choice = invoke(client, body)["choices"][0]
    logprobs = [each["logprob"] for each in choice["logprobs"]["content"]]
    # The stop token is not part of the answer.
    return mean(logprobs[:-1] if choice["finish_reason"] == "stop" else logprobs)
''',
    Format.BEDROCK: '''\
def score(client, question, passage):
    """Return the mean logprob of a short answer's tokens, in nats."""
    prompt = BEFORE + passage + BETWEEN + question + AFTER
    body = {"prompt": prompt, "max_gen_len": @DRAFT@, "temperature": 0}
    answer = invoke(client, {**body, "return_logprobs": True})
    logprobs = [value for each in answer["logprobs"] for value in each.values()]
    # The stop token is not part of the answer.
    return mean(logprobs[:-1] if answer["stop_reason"] == "stop" else logprobs)
''',
}
_PROMPTS = {
    Format.OPENAI: ('"prompt": prompt', '["choices"][0]'),
    Format.CHAT: ('"messages": [{"role": "user", "content": prompt}]', ""),
}
_CONCURRENCY = 10


_EXAMPLE = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"


def imported_model(source: Source) -> tuple[BedrockModel, bool]:
    """The imported model to call, and whether it is the source itself; an example's ARN for any other source."""
    return (source, True) if isinstance(source, BedrockModel) else (BedrockModel(_EXAMPLE), False)


def as_python(
    model: BedrockModel, template: str, scoring: str, keep: Keep, *, wire_format: Format, draft_tokens: int = 8
) -> str:
    """A Python module with a function `prune`. It needs nothing but boto3, which its caller brings.

    It ranks and keeps as Candor does for the same template, scoring and rule. Raises InvalidRequest for a scoring or a
    rule that it cannot have, and for a format without the logprobs that the scoring needs.
    """
    check_template(template)
    before, between, after = _parts(template)
    values = {
        "MODEL": literal(model.arn, 8),
        "REGION": literal(model.place.region or "us-east-1", 9),
        "BEFORE": literal(before, 9),
        "BETWEEN": literal(between, 10),
        "AFTER": literal(after, 8),
        "CONCURRENCY": str(_CONCURRENCY),
        "KEPT": _kept(keep),
        "DRAFT": str(int(draft_tokens)),
    }
    if scoring == QUESTION and wire_format in _PROMPTS:
        values["PROMPT"], values["WHERE"] = _PROMPTS[wire_format]
        body = _QUESTION
    elif scoring == DRAFT:
        body = _DRAFTS[Format.BEDROCK if wire_format.is_bedrock else wire_format]
    elif scoring == QUESTION:
        raise InvalidRequest(f"{wire_format} doesn't return prompt logprobs.", "Rank by draft confidence.")
    else:
        raise InvalidRequest(
            "The function can score question likelihood or draft confidence.", "Rank by one of them, and export again."
        )
    return re.sub("@([A-Z]+)@", lambda found: values[found[1]], _HEAD + body)


def _parts(template: str) -> tuple[str, str, str]:
    """The texts before, between and after passage and question. Raises InvalidRequest if the question is first."""
    found = filled(template, "", "")
    if found.passage[0] > found.question[0]:
        raise InvalidRequest(
            "The function puts the passage before the question.", "Change the order in the template, and export again."
        )
    return (
        found.text[: found.passage[0]],
        found.text[found.passage[0] : found.question[0]],
        found.text[found.question[0] :],
    )


def _kept(keep: Keep) -> str:
    if keep.rule is Rule.TOP:
        return f"pairs[:{max(0, int(keep.value))}]"
    if keep.rule is Rule.THRESHOLD:
        return f"[pair for pair in pairs if pair[0] >= {float(keep.value)!r}]"
    raise InvalidRequest("A budget of tokens cannot be exported.", "Keep by number or by threshold, and export again.")
