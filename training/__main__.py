"""`python -m training`."""

import sys

from training.main import main

if __name__ == "__main__":
    sys.exit(main())
