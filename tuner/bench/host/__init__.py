"""What else does the host do, and which limits does it set?"""
