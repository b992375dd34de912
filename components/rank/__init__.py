"""The parts of the Rank page."""
