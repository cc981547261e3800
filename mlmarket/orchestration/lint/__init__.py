"""What is wrong with a journey before anybody is in it?"""
