"""How is a configuration measured?

The modules of the package itself hold the values that cross the seam; its folders do the work.
"""
