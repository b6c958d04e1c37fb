"""What does a run show while it goes on, and at its end?"""
