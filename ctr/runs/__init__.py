"""Run folders: atomic writes, checksums, locks, and the machine that they are on."""
