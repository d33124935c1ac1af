"""What a run says of itself: report.json, its summary in the terminal, and report.html."""

from ctr.report.html import render_html, write_html
from ctr.report.terminal_report import show_report

__all__ = ["render_html", "show_report", "write_html"]
