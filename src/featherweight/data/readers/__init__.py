"""Tables from files, folders and the hub."""
