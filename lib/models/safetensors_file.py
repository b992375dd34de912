"""The header of a safetensors file: which tensors it holds, without reading them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.errors import ModelUnavailable
from lib.models.gguf import LFS_POINTER

_ITEM_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class StoredTensor:
    """What the header says about a tensor."""

    dtype: str  # such as "F32"
    shape: tuple[int, ...]
    size: int  # bytes

    @property
    def elements(self) -> int:
        """Number of stored elements; of an unknown type, number of bytes."""
        return self.size // _ITEM_SIZES.get(self.dtype, 1)


def tensors_in(path: Path) -> Mapping[str, StoredTensor]:
    """The tensors of a safetensors file by name. Raises ModelUnavailable if it is damaged."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(len(LFS_POINTER))
            if start == LFS_POINTER:
                raise ModelUnavailable(
                    f"{path.name} is a Git LFS pointer, not the file itself.", "Run `git lfs pull` in its directory."
                )
            length = int.from_bytes(start[:8], "little")
            file.seek(8)
            header = json.loads(file.read(min(length, size)))
        entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
        spans = {key: entry["data_offsets"] for key, entry in entries.items()}
        if 8 + length + max((end for _, end in spans.values()), default=0) > size:
            raise ValueError("the file ends before its last weight")
        return {
            key: StoredTensor(entry["dtype"], tuple(map(int, entry["shape"])), int(spans[key][1] - spans[key][0]))
            for key, entry in entries.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelUnavailable(f"{path.name} is damaged or incomplete.", "Download the file again.") from error
