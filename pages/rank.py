"""Rank: which answer does the model find most likely?"""

from components.rank.page import RANK

RANK.show()
