"""Which model is it, can it be read and batched here, and what is this host?"""
