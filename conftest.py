"""What holds for all tests."""

import os

# No test may write into the home of whoever runs it, nor depend on what lies there.
os.environ["BDIP_CACHE"] = "off"
