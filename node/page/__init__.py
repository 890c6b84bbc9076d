"""The web page of those who run the node, the figures for their monitoring, and its health.

It shows what `node.operating` shows at the command line, and does what that does. There is no text
of any image on it, and no name.
"""
