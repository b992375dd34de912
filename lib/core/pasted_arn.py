"""Extract the ARN of an imported model from pasted text, and explain what was pasted if it is something else."""

from __future__ import annotations

import re
from urllib.parse import unquote

from lib.core.pasted_text import AROUND, CONSOLE, tidied
from lib.errors import InvalidRequest

_IMPORTED = re.compile(
    r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:imported-model/[a-z0-9]{12}(?![\w-]|/(?!invoke|converse))", re.IGNORECASE
)
_ARN = re.compile(r"arn:[a-z-]+:(?P<service>[a-z0-9-]*):[^:\s]*:[^:\s]*:(?P<resource>[^\s\"']*)", re.IGNORECASE)
_ID = re.compile(r"(?:imported-model/)?[a-z0-9]{12}", re.IGNORECASE)
_BASE_MODEL = re.compile(r"(?:[a-z-]+\.)?[a-z0-9]+\.[a-z0-9][a-z0-9.-]*-v\d[:\w.]*", re.IGNORECASE)
_IN_S3 = re.compile(r"s3:|https?://(?:[\w.-]+\.)?s3[.-][\w.-]*amazonaws\.com", re.IGNORECASE)
_PASTE = "Paste the ARN of an imported model. It ends in imported-model/ and twelve letters or digits."
_LOGPROBS = (
    "Bedrock returns token logprobs only for imported models. If you have the model's weights, import them with Custom "
    "Model Import, then paste the imported model's ARN."
)
_FINISHED = "Open the job in the Bedrock console, then paste the ARN of the imported model it created."
# Other resources by the prefix in their ARN: (what it is, what to do).
_OTHERS = {
    "application-inference-profile": ("an application inference profile", _LOGPROBS),
    "inference-profile": ("an inference profile", _LOGPROBS),
    "foundation-model": ("a foundation model", _LOGPROBS),
    "custom-model-deployment": ("a custom model deployment", _LOGPROBS),
    "custom-model": ("a custom model fine-tuned in Bedrock", _LOGPROBS),
    "provisioned-model": ("a model with provisioned throughput", _LOGPROBS),
    "prompt-router": ("a prompt router", _LOGPROBS),
    "default-prompt-router": ("a prompt router", _LOGPROBS),
    "marketplace": ("a Bedrock Marketplace endpoint", _LOGPROBS),
    "model-import-job": ("a model import job", _FINISHED),
    "model-customization-job": ("a fine-tuning job", _LOGPROBS),
    "model-copy-job": ("a model copy job", _LOGPROBS),
    "model-invocation-job": ("a batch inference job", _PASTE),
    "evaluation-job": ("an evaluation job", _PASTE),
    "async-invoke": ("an asynchronous invocation", _PASTE),
    "guardrail": ("a guardrail", _PASTE),
    "guardrail-profile": ("a guardrail profile", _PASTE),
    "knowledge-base": ("a knowledge base", _PASTE),
    "agent": ("an agent", _PASTE),
    "agent-alias": ("an agent", _PASTE),
    "flow": ("a flow", _PASTE),
    "prompt": ("a stored prompt", _PASTE),
}
_SERVICES = {
    "s3": ("an S3 bucket or object", "Import the model's files into Bedrock, then paste the imported model's ARN."),
    "sagemaker": ("a SageMaker resource", _LOGPROBS),
    "iam": ("an IAM role or user", _PASTE),
    "sts": ("an STS session", _PASTE),
}


def as_arn(pasted: str) -> str:
    """Extract the ARN of an imported model from pasted text; "" if the text is blank.

    Strips surrounding quotes, line breaks, percent-encoding, URLs and command prefixes. Raises InvalidRequest if the
    text is something else.
    """
    text = _decoded(tidied(pasted))
    if not text.strip(AROUND):
        return ""
    joined = re.sub(r"[\s\\]+", "", text)
    # Try the text unjoined first: joining may merge the ARN with the text after it.
    for each in (text.replace("\\", ""), joined):
        found: set[str] = {arn.lower() for arn in _IMPORTED.findall(each)}
        if len(found) == 1:
            return found.pop()
        if found:
            raise InvalidRequest(
                f"The text contains {len(found)} different ARNs.", "Paste the ARN of one imported model."
            )
    raise InvalidRequest(*_named(joined))


def _named(text: str) -> tuple[str, str]:
    """(what happened, what to do) for a text that is not the ARN of an imported model."""
    if found := _ARN.search(text):
        service, resource = found["service"].lower(), found["resource"].lower()
        kind = re.split(r"[/:]", resource)[0]
        if service == "bedrock" and kind == "imported-model":
            return "This imported model's ARN is incomplete or has extra characters.", _PASTE
        what, remedy = _OTHERS.get(kind, ("", "")) if service == "bedrock" else _SERVICES.get(service, ("", ""))
        if what:
            return f"This is the ARN of {what}, not of an imported model.", remedy
        return "This ARN does not belong to an imported model.", _PASTE
    bare = text.strip(AROUND)
    if _IN_S3.match(bare):
        return "This is an S3 address. It holds a model's files.", _SERVICES["s3"][1]
    if CONSOLE.search(bare):
        return "This is the address of a page in the AWS console.", f"Copy the model's ARN from that page. {_PASTE}"
    if "://" in bare:
        return "This is a web address, not an ARN.", _PASTE
    if _ID.fullmatch(bare):
        return "This is the last part of an ARN.", "Choose the model from the list, or paste its full ARN."
    if _BASE_MODEL.fullmatch(bare):
        return "This is the ID of a foundation model or an inference profile.", _LOGPROBS
    return "This is not an ARN.", _PASTE


def _decoded(text: str) -> str:
    for _ in range(3):  # a URL inside another URL is encoded twice
        if (decoded := unquote(text)) == text:
            break
        text = decoded
    return text
