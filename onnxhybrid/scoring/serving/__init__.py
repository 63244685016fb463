"""The hybrid as a deployment of Ray Serve: requests that are run together, KServe v2 in front."""
