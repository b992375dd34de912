"""The parts of the Contexts page."""
