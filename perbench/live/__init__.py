"""`top`: a run as its bench pods show it while it runs.

`exposition` reads a page of metrics, `figures` makes rows of what came since, `view` draws them. Rims: `watch` asks
anew every few seconds, `address` knows one place to ask.
"""
