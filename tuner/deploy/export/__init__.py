"""How do other programs read a tuned configuration?"""
