"""Training of the small networks that look at portraits: a detector, two recognisers and an image-text pair.

`train_faces.py` runs it all. Pictures are drawn by the world as it goes (`drawing`), each network has a
file for its shape and one for its training, `check` measures the exported files.
"""
