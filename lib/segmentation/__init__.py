"""Text into units: grapheme cells, words, sentences, groups."""
