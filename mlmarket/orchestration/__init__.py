"""Who should hear from us tonight, about what, and why not?"""
