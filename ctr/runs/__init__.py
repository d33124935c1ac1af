"""Run folders: files written whole, checksums, locks, and the machine that they are on."""
