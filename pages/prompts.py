"""Prompts: which prompt does the model understand better?"""

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/prompts.py")

from components.prompts.page import PROMPTS  # noqa: E402  nothing else may run before the entry point

PROMPTS.show()
