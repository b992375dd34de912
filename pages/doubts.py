"""Doubts: what may the model have made up?"""

from components.doubts.page import DOUBTS

DOUBTS.show()
