"""What a study's analysis leaves behind: segmentation, report, picture, and how to read them."""
