"""Start Midline from its folder: ``python run_node.py serve`` is ``midline serve``."""

from node.cli import main

if __name__ == "__main__":
    main()
