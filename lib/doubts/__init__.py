"""What a model may have made up: words and terms of an answer, scores of their doubt, and how good these scores are."""
