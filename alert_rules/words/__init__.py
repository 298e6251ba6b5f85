"""Makes words of records, at the very end: ``letter.py`` for whoever sends them, ``english.py`` for the words themselves.

A second language is a file like ``english.py``, with a class that says the same otherwise, and a line in ``reader.py``.
"""
