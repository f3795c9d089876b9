"""The digit classifier, which also scores generated digits."""
