"""Version of the program."""

VERSION = "0.8.0"
