"""One file per command; the only place that may import every package."""

import os

# Our matrices are small: more threads of OpenBLAS cost three times the processor's time and save none (measured at the
# close of a recording). It reads this when numpy is first imported, so it is said before. What the user sets stays.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
