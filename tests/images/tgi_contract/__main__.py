"""`python -m tests.images.tgi_contract`: stands in for `text-generation-launcher`."""

import os
import sys

from tests.images.tgi_contract.launcher import main

sys.exit(main(sys.argv[1:], os.environ))
