"""How good is a search strategy on a table whose truth is known?"""
