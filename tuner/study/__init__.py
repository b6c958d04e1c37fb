"""What is a study, a space, a configuration?

Plain values only; `file/` makes them from a text.
"""
