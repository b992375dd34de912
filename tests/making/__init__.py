"""Scripts that make files of the repository: labelled questions, and the tuned model. Not part of the tests."""
