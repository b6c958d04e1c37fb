"""Which sentence says what a value means?"""
