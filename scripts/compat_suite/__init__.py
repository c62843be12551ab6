"""The clients of others, in their own versions, against the real server."""
