"""Of all that could be sent, what is, when, by which channel, and why not the rest?"""
