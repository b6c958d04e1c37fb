"""What does study.db show to other programs, such as optuna-dashboard?"""
