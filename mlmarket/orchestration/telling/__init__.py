"""Why did this happen to this person?"""
