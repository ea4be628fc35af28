"""`python -m aiges`: create and pack projects, as ASF's package of this name did."""

import sys

from athena_serving.cli.aiges import main

sys.exit(main())
