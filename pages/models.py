"""Models: where do two models disagree on the same text?"""

from components.models.page import MODELS

MODELS.show()
