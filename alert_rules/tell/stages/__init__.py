"""What stands between an alert and a person: small pure decisions, each with its reason as data.

``match`` (whom is this about) · ``silence`` · ``inhibit`` · ``stale`` · ``mute`` (times), in the order that ``chain`` names ·
``route`` (the tree) · ``group`` (when does a group speak) · ``dedup`` (has it been said; is it time to repeat) · ``oncall`` ·
``escalate``. None of them knows the clock: all are given ``now``.
"""
