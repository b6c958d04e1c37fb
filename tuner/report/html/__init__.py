"""What does a study look like as one page that a person opens, prints or sends?"""
