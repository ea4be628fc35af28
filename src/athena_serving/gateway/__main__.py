"""`python -m athena_serving.gateway DESCRIPTOR`: started by the supervisor, never by hand."""

import sys

from athena_serving.gateway.door import main

if __name__ == "__main__":
    main(int(sys.argv[1]))
