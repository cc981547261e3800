"""Which groups of people are there, and who is in one?"""
