"""A table of texts with a title and notes, for the terminal and for Markdown."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ctr.report.markdown import escaped


@dataclass(frozen=True)
class TextTable:
    """A table of texts with a title, and what is to be said of it."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    texts: int = 1  # columns, from the first, that are not numbers

    def show(self, console: Console) -> None:
        """Print it."""
        console.print(Text(f"\n{self.title}", style="bold"))
        if self.rows:
            table = Table(box=None, pad_edge=False)
            for place, name in enumerate(self.header):
                table.add_column(Text(name), justify="left" if place < self.texts else "right", overflow="fold")
            for row in self.rows:
                table.add_row(*(Text(cell) for cell in row))
            console.print(table)
        for note in self.notes:
            console.print(Text(note), soft_wrap=False)

    def markdown(self) -> str:
        """The same as Markdown of GitHub's kind."""
        parts = [f"#### {escaped(self.title)}"]
        if self.rows:
            rules = ["---" if place < self.texts else "---:" for place in range(len(self.header))]
            rows = [self.header, *self.rows]
            lines = [[escaped(cell) for cell in row] for row in rows]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rules, *lines[1:]]))
        return "\n\n".join([*parts, *(escaped(note) for note in self.notes)])
