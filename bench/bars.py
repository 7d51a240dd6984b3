"""What Polyport must reach, judged on the medians of one run."""

from table import number


class Bars:
    """Lines of a markdown table: the bar, what was found, whether it is met."""

    def __init__(self, samples, ours, reference):
        self.samples, self.ours, self.reference = samples, ours, reference
        self.rows = []

    def judge(self, what, found, wanted, met):
        """One bar; nothing if it was not measured."""
        if found is not None:
            self.rows.append(
                f"| {what} | {number(found)} | {wanted} | {'yes' if met(found) else 'NO'} |")

    def mine(self, measure):
        """Polyport's median."""
        return self.samples.median(measure, self.ours)

    def ratio(self, measure):
        """Polyport's median to the reference's."""
        a, b = self.mine(measure), self.samples.median(measure, self.reference)
        return a / b if a is not None and b else None

    def text(self):
        """The table, empty if nothing was judged."""
        if not self.rows:
            return ""
        return "\n".join(["| bar | found | wanted | met |", "|---|---|---|---|", *self.rows])
