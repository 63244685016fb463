"""Files: graphs read without their weights, weights by reference, and models written whole or not at all."""
