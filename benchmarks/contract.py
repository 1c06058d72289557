"""Asks the real service all that its OpenAPI document allows and forbids, with every check of Schemathesis but one.

`scripts/install fuzz`, then `python -m benchmarks.contract`; further arguments go to Schemathesis.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.service import running


def main() -> int:
    """Run Schemathesis; its exit code."""
    with running() as service:
        program = Path(sys.executable).with_name("schemathesis")
        command = [str(program), "run", f"{service.url}/openapi.json", "--checks", "all"]
        # No schema can say whether bytes are an image, nor how many pages it has, so that sound requests are refused.
        command += ["--exclude-checks", "positive_data_acceptance", *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
