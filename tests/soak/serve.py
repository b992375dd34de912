"""All combinations of formats, operations, faults and switches of the local Bedrock, read by Candor's own client.

python -m tests.soak.serve [at most so many]
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from lib.engines.local.opening import open_local
from lib.serve.server import in_thread
from tests.support import tiny
from tests.support.serve_clients import Served, service_of
from tests.support.serve_combinations import ask, check, every_case


def main() -> int:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else None
    count, problems, began = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        directory = tiny.make_random(Path(folder) / "tiny", "llama")
        tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(directory)
        service = service_of(directory, open_local(str(directory)))
        with in_thread(service) as url, closing(Served(service, url)) as served:
            expected = {}
            for case in itertools.islice(every_case(), most):
                key = case.form, case.operation
                if key not in expected:
                    served.faults()
                    served.switches()
                    expected[key] = ask(served, *key)
                if found := check(served, case, expected[key]):
                    problems += 1
                    print(f"{case}: {found}", flush=True)
                count += 1
                if count % 5000 == 0:
                    print(f"{count:,} in {time.monotonic() - began:.0f} s", flush=True)
        for engine in service.engines.values():
            engine.close()
    print(f"{count:,} combinations: {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
