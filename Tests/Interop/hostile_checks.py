"""What the tests of check's verdicts share."""

import json

from helpers import is_error, mutils


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch MARK",)


def checked(path):
    """The verdict; None where the file is refused."""
    result = mutils("check", path, "--json")
    if not result.out:
        assert result.code == 2 and is_error(result.err, True), result.err
        return None
    answer = json.loads(result.out)
    return answer["verdict"] if result.code == 0 or answer["verdict"] != "safe" else None
