"""Which items might be right for somebody?"""
