"""How is a study shown to a person or to a program?"""
