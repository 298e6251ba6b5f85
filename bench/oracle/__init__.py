"""What are the numbers, computed a second time, in another language and another way?"""
