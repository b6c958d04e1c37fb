"""What has been measured so far?"""
