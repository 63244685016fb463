"""The promises that the project keeps."""
