"""Who leads, as far as the numbers can tell?"""
