"""How does a YAML text become a Study, and what is wrong with it?"""
