"""How does an application use what was tuned, and does that still hold on its host?"""
