"""What is usual at a time: the week and the year of a series, holidays, and how far from it chance alone goes."""
