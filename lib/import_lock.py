"""A lock around imports of transformers.

transformers loads its parts lazily. A thread that uses a part while another thread is still loading it fails with
"cannot import name". Hold this lock to import from it, or to call code that does.
"""

from __future__ import annotations

import threading

IMPORTING = threading.RLock()
