"""When does each request of a window start, and what did it take?"""
