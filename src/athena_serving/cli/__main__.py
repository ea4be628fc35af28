"""`python -m athena_serving.cli`, where the console script is not on the path."""

import sys

from athena_serving.cli.program import main

sys.exit(main())
