"""Where the tests of the shared library find what lies beside them."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden"
# A sample of MUSDB18 beside the repository; the tests of it skip where it is absent.
SAMPLE = TESTS.parents[2] / "shared" / "data" / "musdb18_sample"
PREVIEWS = TESTS.parents[2] / "shared" / "data" / "musdb18_7s"
