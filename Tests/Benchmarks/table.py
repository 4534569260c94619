"""Rows of results, as a table for people or values for programs."""


class Row:
    """One operation: our time and, where there are such, the peer's, the floor's and the target. Seconds."""

    def __init__(self, operation, ours, remark=""):
        self.group, self.operation, self.ours, self.remark = "", operation, ours, remark
        self.peer = self.peer_time = self.ratio = None
        self.floor = self.floor_time = self.floor_ratio = None
        self.target = self.met = None

    def compare(self, peer, seconds):
        self.peer, self.peer_time, self.ratio = peer, seconds, seconds / self.ours

    def above(self, floor, seconds):
        self.floor, self.floor_time, self.floor_ratio = floor, seconds, self.ours / seconds

    def require(self, target, met):
        self.target, self.met = target, met

    def values(self):
        return vars(self)

    def cells(self):
        return [
            self.group, self.operation, duration(self.ours), duration(self.peer_time), self.peer or "", times(self.ratio),
            duration(self.floor_time), self.floor or "", times(self.floor_ratio), self.target or "",
            "" if self.met is None else "yes" if self.met else "NO", self.remark,
        ]  # fmt: skip


def duration(seconds):
    if seconds is None:
        return ""
    return f"{seconds * 1e3:.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms" if seconds < 2 else f"{seconds:.1f} s"


def times(ratio):
    return "" if ratio is None else f"{ratio:.1f}x"


def with_threads(operation, threads):
    return f"{operation}, {threads} thread{'s' * (threads > 1)}"


def megabytes(*runs):
    """The peak of each run."""
    return ", ".join(f"{r.peak / 1e6:.0f} MB" for r in runs)


def render(rows):
    """The rows as a Markdown table whose columns are aligned."""
    names = ["group", "operation", "ours", "theirs", "peer", "faster", "floor", "what", "above", "target", "met", "remarks"]
    right = {"ours", "theirs", "faster", "floor", "above"}
    cells = [names, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]

    def line(values):
        padded = [v.rjust(w) if n in right else v.ljust(w) for v, w, n in zip(values, widths, names)]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (w - 1) + ":" if n in right else "-" * w for w, n in zip(widths, names)]
    return "\n".join(map(line, [names, rule, *cells[1:]]))
