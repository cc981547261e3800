"""In which order should candidates be shown?"""
