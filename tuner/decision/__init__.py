"""What does the confirmation prove?"""
