"""How does OpenVINO compile a configuration and run its requests?"""
