"""Commands: what each of the three doors does once its arguments are read."""
