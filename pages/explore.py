"""Explore: how sure was the model of every token?"""

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/explore.py")

from components.explore.page import EXPLORE  # noqa: E402  nothing else may run before the entry point

EXPLORE.show()
