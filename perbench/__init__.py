"""perbench: measured efficiency of served language models. This package is the domain; rims are cli and local."""

__version__ = "0.1.0"
