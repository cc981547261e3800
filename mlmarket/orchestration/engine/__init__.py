"""What does one tick do, from who is there to what is handed over?"""
