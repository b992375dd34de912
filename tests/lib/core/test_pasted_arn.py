"""Pasted ARNs: every spelling gives the same ARN, and anything else is named in the error."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.access.policy import IMPORTED_MODEL
from lib.core.pasted_arn import as_arn
from lib.errors import InvalidRequest
from tests.support.paths import CASES

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123def456"
CHINA = "arn:aws-cn:bedrock:cn-north-1:123456789012:imported-model/abc123def456"
GOVERNMENT = "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:imported-model/abc123def456"
LINES = [line for line in (CASES / "34-arns.txt").read_text().splitlines() if line]
OURS = "arn:aws:bedrock:us-east-1:123456789012:"
# What it is, and a word of the next step, by what was pasted.
OTHERS = {
    f"{OURS}application-inference-profile/abc123def456": ("application inference profile", "import"),
    f"{OURS}inference-profile/us.meta.llama3-1-8b-instruct-v1:0": ("an inference profile", "import"),
    "arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-8b-instruct-v1:0": ("a foundation model", "import"),
    f"{OURS}custom-model-deployment/abc123def456": ("custom model deployment", "import"),
    f"{OURS}custom-model/amazon.nova-lite-v1:0:300k/abc123def456": ("fine-tuned in Bedrock", "import"),
    f"{OURS}provisioned-model/abc123def456": ("provisioned throughput", "import"),
    f"{OURS}model-import-job/abc123def456": ("import job", "Open the job"),
    f"{OURS}model-customization-job/amazon.nova/abc123def456": ("fine-tuning job", "import"),
    f"{OURS}default-prompt-router/meta.llama:1": ("prompt router", "import"),
    f"{OURS}prompt-router/abc123def456": ("prompt router", "import"),
    f"{OURS}marketplace/model-endpoint/all-access": ("Marketplace endpoint", "import"),
    f"{OURS}guardrail/abc123def456": ("guardrail", "ARN of an imported model"),
    f"{OURS}something-new/abc123def456": ("does not belong to an imported model", "ARN of an imported model"),
    f"{OURS}imported-model/abc123": ("incomplete", "twelve"),
    f"{ARN}7": ("extra characters", "twelve"),
    f"{ARN}/x": ("extra characters", "twelve"),
    "arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine": ("SageMaker", "import"),
    "arn:aws:s3:::bucket/prefix": ("S3", "Import"),
    "arn:aws:iam::123456789012:role/BedrockImport": ("IAM", "ARN of an imported model"),
    "s3://bucket/prefix/": ("S3", "Import"),
    "https://bucket.s3.us-east-1.amazonaws.com/prefix/config.json": ("S3", "Import"),
    "https://us-east-1.console.aws.amazon.com/bedrock/home#/imported-models": ("AWS console", "Copy"),
    "https://huggingface.co/org/model": ("web address", "ARN"),
    "abc123def456": ("last part of an ARN", "full ARN"),
    "imported-model/abc123def456": ("last part of an ARN", "full ARN"),
    "meta.llama3-8b-instruct-v1:0": ("foundation model", "import"),
    "us.anthropic.claude-3-5-sonnet-20240620-v1:0": ("foundation model", "import"),
    "org/model": ("not an ARN", "twelve"),
    f"{ARN}\n{CHINA}": ("2 different ARNs", "one"),
}


def read(pasted: str) -> tuple[str, InvalidRequest | None]:
    try:
        return as_arn(pasted), None
    except InvalidRequest as error:
        return "", error


@pytest.mark.parametrize("line", LINES)
def test_the_arns_of_the_case(line: str) -> None:
    if "imported-model" in line:
        assert as_arn(line) == {LINES[0]: GOVERNMENT, LINES[1]: CHINA}.get(line, ARN)
        return
    with pytest.raises(InvalidRequest) as raised:
        as_arn(line)
    assert OTHERS[line][0] in raised.value.cause


@pytest.mark.parametrize("pasted", OTHERS)
def test_what_is_something_else_is_named_with_the_next_step(pasted: str) -> None:
    what, remedy = OTHERS[pasted]
    for dressed in (pasted, f" '{pasted}' ", pasted.replace(":", "%3A").replace("/", "%2F")):
        with pytest.raises(InvalidRequest) as raised:
            as_arn(dressed)
        assert what in raised.value.cause
        assert remedy in raised.value.remedy


ARNS = st.builds(
    "arn:{}:bedrock:{}:{}:imported-model/{}".format,
    st.sampled_from(["aws", "aws-us-gov", "aws-cn", "aws-iso", "aws-iso-b", "aws-eusc"]),
    st.sampled_from(["us-east-1", "us-gov-west-1", "cn-north-1", "us-isob-east-1", "eusc-de-east-1"]),
    st.text("0123456789", min_size=12, max_size=12),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=12),
)
AROUND = st.sampled_from(
    [
        *("{}", "'{}'", '"{}"', "`{}`", "“{}”", "‘{}’", "<{}>", "({})", "{},", "{};", " {} ", "\n{}\n", "\ufeff{}"),
        *("bedrock/{}", "bedrock/llama/{}", "bedrock/qwen3/{}", "bedrock/deepseek_r1/{}", "bedrock/openai/{}"),
        *("modelId={}", 'modelId="{}"', '{{"modelArn": "{}"}}', "--model-id {} --region us-east-1", "Model ARN: {}"),
        *("https://bedrock-runtime.us-east-1.amazonaws.com/model/{}/invoke", "http://127.0.0.1:9911/model/{}/converse"),
        *("http://host/model/{}/invoke-with-response-stream", "https://host/#/imported-models?arn={}&tab=1"),
        *("{}\u200b", "\u00a0{}", "{} # my model"),
    ]
)


@st.composite
def spelled(draw: st.DrawFn, arn: str) -> str:
    """An ARN in look-alike characters."""
    kind = draw(st.sampled_from(["as it is", "encoded", "encoded twice", "broken", "wide", "loud", "escaped"]))
    place = draw(st.integers(1, len(arn) - 1))
    if kind == "broken":
        return arn[:place] + draw(st.sampled_from(["\n", "\r\n   ", " ", "\\\n  ", "\t", "\u200b"])) + arn[place:]
    return {
        "encoded": quote(arn, safe=""),
        "encoded twice": quote(quote(arn, safe=""), safe=""),
        "wide": arn.replace(":", "："),
        "loud": arn.upper(),
        "escaped": arn.replace("/", "\\/"),
    }.get(kind, arn)


@given(arn=ARNS, around=AROUND, data=st.data())
def test_any_arn_in_any_dress_is_that_arn(arn: str, around: str, data: st.DataObject) -> None:
    dressed = around.format(data.draw(spelled(arn)))
    if "\u200b" not in dressed and re.search(r"\s", dressed.strip()) and re.search(r"\w\s+[\w-]", around):
        dressed = around.format(arn)  # broken in two and among other words, no one could tell where it ends
    assert as_arn(dressed) == arn


@given(st.text() | st.text(alphabet="arn:aws/bedrock-impotdl0123456789% \n\"'"))
def test_whatever_is_pasted_is_an_arn_or_named(pasted: str) -> None:
    arn, error = read(pasted)
    if error is not None:
        assert error.cause
        assert error.remedy
    else:
        assert arn == "" or IMPORTED_MODEL.fullmatch(arn)
