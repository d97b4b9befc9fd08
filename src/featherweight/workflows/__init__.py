"""What a user asks for: one function a task, which joins the other folders."""
