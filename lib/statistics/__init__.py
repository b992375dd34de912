"""Statistics of labelled answers: how often they are right, and whether confidence tells which ones are."""
