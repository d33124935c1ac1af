"""What a run says of itself: report.json and its summary in the terminal."""

from ctr.report.summary import show_report
from ctr.report.tables import describe_tables

__all__ = ["describe_tables", "show_report"]
