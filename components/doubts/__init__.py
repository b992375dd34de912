"""The parts of the Doubts page."""
