"""Explore: how sure was the model of every token?"""

from components.explore.page import EXPLORE

EXPLORE.show()
