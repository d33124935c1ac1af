"""Shows the examples of docstrings as code: mkdocstrings would take `>>>` for quotations."""

import re

import griffe


class FencedDoctests(griffe.Extension):
    """Puts each doctest of a docstring into a fenced block."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Change the docstring of an object that griffe has read."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    r"""Return a docstring with fences around its doctests, each of which ends at a blank line.

    >>> fenced("Add.\n\n>>> 1 + 1\n2\n\nText.")
    'Add.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nText.'
    """
    return re.sub(r"^( *)>>> .*(?:\n(?! *$).*)*", r"\1```pycon\n\g<0>\n\1```", docstring, flags=re.MULTILINE)
