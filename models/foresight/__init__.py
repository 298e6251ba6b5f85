"""What is to come: sums of open deals, seasonal series, periods; each with its uncertainty."""
