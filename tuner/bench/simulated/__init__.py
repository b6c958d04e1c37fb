"""How are sessions made without hardware?"""
