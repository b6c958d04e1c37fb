"""How are sessions measured, on real processes, in simulation and from records?"""
