"""Models: where do two models disagree on the same text?"""

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/models.py")

from components.models.page import MODELS  # noqa: E402  nothing else may run before the entry point

MODELS.show()
