"""Table of texts with a title and notes, for the terminal and for Markdown."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ctr.report.markdown import escaped


@dataclass(frozen=True)
class TextTable:
    """A table of texts with a title and notes.

    Attributes:
        title: heading of the table.
        header: names of the columns.
        rows: cells of each row.
        notes: sentences below the table.
        texts: number of columns, from the first, that are texts; the others are numbers, aligned to the right.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    texts: int = 1

    def show(self, console: Console) -> None:
        """Print the table in the terminal."""
        console.print(Text(f"\n{self.title}", style="bold"))
        if self.rows:
            table = Table(box=None, pad_edge=False)
            for index, name in enumerate(self.header):
                table.add_column(Text(name), justify="left" if index < self.texts else "right", overflow="fold")
            for row in self.rows:
                table.add_row(*(Text(cell) for cell in row))
            console.print(table)
        for note in self.notes:
            console.print(Text(note), soft_wrap=False)

    def markdown(self) -> str:
        """Return the table as GitHub-flavored Markdown."""
        blocks = [f"#### {escaped(self.title)}"]
        if self.rows:
            rules = ["---" if index < self.texts else "---:" for index in range(len(self.header))]
            rows = [self.header, *self.rows]
            lines = [[escaped(cell) for cell in row] for row in rows]
            blocks.append("\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rules, *lines[1:]]))
        return "\n\n".join([*blocks, *(escaped(note) for note in self.notes)])
