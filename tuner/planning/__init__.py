"""How is the time divided, how long is a session, and what takes part in the next one?"""
