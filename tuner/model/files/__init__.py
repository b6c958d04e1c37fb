"""What is in a file that is given for a model, and which other files belong to it?"""
