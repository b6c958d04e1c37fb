"""What did earlier studies find, and which of them are near to the one at hand?"""
