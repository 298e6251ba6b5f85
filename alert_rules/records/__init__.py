"""What travels between the parts of alerting: typed records, with facts and links instead of prose.

A rule's evaluation writes transitions, operators write acts, the dispatch writes decisions and messages, the deliveries write
notifications (``alerts.py``, ``message.py``; ``facts.py`` has what they share). The words are made of them at the very end, by
``alert_rules/words``, for each receiver. Fields are only ever added, with defaults: records of earlier versions are read.
"""
