"""Contexts: which passages are worth an answer?"""

from components.contexts.page import CONTEXTS

CONTEXTS.show()
