"""Training and evaluation on synthetic heads; needs the extra ``train``."""
