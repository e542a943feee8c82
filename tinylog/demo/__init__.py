"""`tinylog demo`: a small shop is served to real requests, and its log is read back by SQL."""
