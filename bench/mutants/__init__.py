"""Would the tests notice a fault? ``python -m bench.mutants FILE…`` makes faults one by one and asks the tests."""
