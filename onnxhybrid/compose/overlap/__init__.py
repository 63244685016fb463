"""`overlap`, which lets remote calls go on while other nodes run, and `sequential`, its inverse."""
