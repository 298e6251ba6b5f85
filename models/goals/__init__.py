"""What people and teams want to reach together: objectives, challenges, and what is done about what goes wrong."""
