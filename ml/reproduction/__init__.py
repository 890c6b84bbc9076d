"""The paper's tables on synthetic heads, and the experiment on symmetry; needs extra ``train``."""
