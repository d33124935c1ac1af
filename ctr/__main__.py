"""`python -m ctr`: the same as `ctr`, with the working directory in the path of modules."""

from ctr.cli import app

app()
