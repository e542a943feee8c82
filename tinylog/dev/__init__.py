"""``tinylog dev``: a local stand-in for the parts of Tinybird that a logging client talks to.

Importing this package costs nothing; :mod:`tinylog.dev.server` needs the extra ``dev``.
"""
