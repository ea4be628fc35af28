"""`python -m athena_serving.worker DESCRIPTOR`: started by the supervisor, never by hand."""

import sys

from athena_serving.worker.main import main

if __name__ == "__main__":
    main(int(sys.argv[1]))
