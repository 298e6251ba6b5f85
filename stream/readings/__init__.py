"""What is answered from: current readings, and their copy in Redis."""
