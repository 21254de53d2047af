"""``mss-results`` and ``python -m mss_results``."""

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb, as `mss_results.command.run` does; Ctrl-C is one line and 130.

    The verbs are imported here, so that Ctrl-C meanwhile is no traceback either.
    """
    try:
        from mss_results.output import print_any_text

        print_any_text()
        from mss_results.command import run

        return run(arguments)
    except KeyboardInterrupt:
        print("mss-results: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
