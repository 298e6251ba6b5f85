"""Would the tests notice a fault? ``python -m bench.mutants models/panes.py`` makes faults one by one and asks the tests."""
