"""What people read: the page of a run and the table in the terminal. Pure: results in, text out."""

from perbench.report.page import render

__all__ = ["render"]
