"""Makes words of records, at the very end: ``letter.py`` for whoever sends them, ``words.py`` for how a language says it.

A language is a file in ``languages/``: copy ``en.yaml`` under its code, and say the same otherwise.
"""
