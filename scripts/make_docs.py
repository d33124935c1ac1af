"""Write the pages of docs/ that the code defines.

    python scripts/make_docs.py

`generated_docs` has a module for each page. tests/test_docs.py fails where a committed page differs.
"""

from generated_docs import DOCS, pages

if __name__ == "__main__":
    for name, text in pages().items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
