"""How does what was decided reach the systems that do it?"""
