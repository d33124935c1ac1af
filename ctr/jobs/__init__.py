"""Commands of the program, one module each, and their terminal output."""
