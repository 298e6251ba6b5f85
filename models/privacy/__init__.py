"""Personal data: which fields are, where somebody is found, and how they are taken out of what is kept."""
