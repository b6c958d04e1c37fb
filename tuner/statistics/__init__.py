"""What do numbers say?

Pure functions over windows and arrays.
"""
