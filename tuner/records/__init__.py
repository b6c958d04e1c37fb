"""What is on disk, which study does it belong to, which process holds its lock?"""
