"""``python -m node.cli`` is ``midline``."""

from node.cli import main

if __name__ == "__main__":
    main()
