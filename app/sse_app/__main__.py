"""`python -m sse_app`."""

import sys

from sse_app.server import main

sys.exit(main())
