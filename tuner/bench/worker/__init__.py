"""In which process does a member run, and what happens when that process dies?"""
