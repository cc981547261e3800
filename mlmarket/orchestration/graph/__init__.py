"""What does a journey look like?"""
