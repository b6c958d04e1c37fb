"""In which order is a study done?"""
