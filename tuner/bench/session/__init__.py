"""In which order do the members of one session take their turns?"""
