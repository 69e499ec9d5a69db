"""`python -m dynmatch`: the command `dynmatch` where it is not installed."""

import sys

from dynmatch.cli.main import main

sys.exit(main())
