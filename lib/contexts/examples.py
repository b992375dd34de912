"""A question with look-alike passages, to try the page with."""

from __future__ import annotations

from lib.contexts.passages import Passage

QUESTION = "How long is the warranty of the Kestwick radio?"
PASSAGES = tuple(
    Passage(f"sheet {number}", text, score)
    for number, (score, text) in enumerate(
        (
            (0.83, "The Kestwick lamp has a brass foot and a linen shade. Its warranty is five years."),
            (0.82, "The Jutwell radio receives FM and DAB. Its warranty is two years, or three after registration."),
            (0.80, "The Kestwick radio is made of walnut and weighs 2.4 kg. Its warranty is seven years."),
            (0.78, "Repairs of radios take two weeks. Send the radio with a copy of the invoice to Tarnby."),
            (0.77, "The Kestwick radio can be set to twelve stations. Hold a button for three seconds to store one."),
            (0.71, "A warranty covers faults of material. It does not cover batteries, scratches or water."),
        ),
        1,
    )
)
