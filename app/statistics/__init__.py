"""From tables to answers: what a treatment changed, at which dose, and whether the plate was good enough to tell.

Nothing here reads files, speaks HTTP or knows settings: arrays and columns come in, frozen results leave. The replicate
(well, dish, animal, plate or day) is n, never the image or the nucleus.
"""
