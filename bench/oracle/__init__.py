"""What are the numbers, computed a second time, by another program in another language, from the definitions alone?"""
