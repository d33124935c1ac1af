"""Render reports of runs, evaluations and `ctr psi`: terminal, report.html and report.md."""

from ctr.report.html import render_html, write_html
from ctr.report.terminal_report import print_report

__all__ = ["print_report", "render_html", "write_html"]
