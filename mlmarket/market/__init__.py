"""Which tables are there, what do they hold, and what was known when?"""
