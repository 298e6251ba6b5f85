"""What an operator wrote (settings, rules, KPIs, plans): how is it read, and how is said what is wrong with it?"""
