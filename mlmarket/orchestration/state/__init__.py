"""How is what was decided kept, and handed over once?"""
