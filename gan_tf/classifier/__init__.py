"""The digit classifier, which scores generated digits."""
