"""Prompts: which prompt does the model understand better?"""

from components.prompts.page import PROMPTS

PROMPTS.show()
