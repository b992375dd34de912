"""Rank: which answer does the model find most likely?"""

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/rank.py")

from components.rank.page import RANK  # noqa: E402  nothing else may run before the entry point

RANK.show()
