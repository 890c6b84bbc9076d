"""How good a model is: figures with their uncertainty, on the grid of the source, as in the node.

::

    volume, truth ─assess─▶ CaseResult ─summarise─▶ Summary ─write_report─▶ Markdown, PNG, JSON
"""
