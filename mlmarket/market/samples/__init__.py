"""What would the data of a shop look like whose truth is known?

A seeded simulator of people who browse, buy, leave and come back, read at their own hours and
answer campaigns. It writes the seven tables of the data contract and, beside them, the truth:
each person's traits and the chance of an order as an oracle knows it.
"""

from mlmarket.market.samples.shop import BLOCK, Summary, sample_folder, simulate

__all__ = ["BLOCK", "Summary", "sample_folder", "simulate"]
