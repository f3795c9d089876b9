"""One module for each layout of files on disk."""
