"""What kind of question a classifier answers: its loss, its probabilities, its decision."""
