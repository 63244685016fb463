"""Files of strangers that mean harm, and everything that can be done with a file."""
