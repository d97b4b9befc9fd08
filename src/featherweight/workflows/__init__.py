"""What a user asks for: one function per task, which calls the code in the other folders."""
