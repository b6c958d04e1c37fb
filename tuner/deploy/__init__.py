"""How is a best.yaml used?"""
