"""One thread at a time imports transformers.

It loads its parts when they are first named, and a thread that names one while another thread is still loading it finds
it half there: "cannot import name". Whoever imports from it, or calls what does, holds this lock.
"""

from __future__ import annotations

import threading

IMPORTING = threading.RLock()
