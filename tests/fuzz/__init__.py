"""Foreign bytes at the two doors of the node: a C-STORE request, and the files of a series."""
