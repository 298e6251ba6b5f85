"""The learners: what will become of the deals and leads that are open now, learnt one event at a time."""
