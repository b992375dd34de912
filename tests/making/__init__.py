"""What makes the sets of labelled questions that come with Candor, and checks their grades. Not part of the tests."""
