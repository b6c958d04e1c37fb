"""What must a runtime offer to be measured?"""
