"""Which named numbers does a business watch, and how is each read from the panes?"""
