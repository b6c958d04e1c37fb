"""What is written at the end, and how is it read back?"""
