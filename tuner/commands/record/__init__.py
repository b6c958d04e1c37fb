"""What is known from earlier studies, and what does this one leave to later ones?"""
