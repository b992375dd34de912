"""Evaluate: does confidence mean correctness?"""

from components.evaluate.page import EVALUATE

EVALUATE.show()
