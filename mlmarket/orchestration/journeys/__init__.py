"""What is written down about a journey, and what does it mean?"""
