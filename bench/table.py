"""Samples of several rounds, and the tables made of them."""

import statistics


class Samples:
    """Numbers by (measure, product), in the order in which measures first came."""

    def __init__(self):
        self.values = {}

    def add(self, measure, product, value):
        """One more sample."""
        self.values.setdefault(measure, {}).setdefault(product, []).append(value)

    def median(self, measure, product):
        """The median, None without samples."""
        values = self.values.get(measure, {}).get(product)
        return statistics.median(values) if values else None

    def measures(self, kind):
        """Measures whose first part is `kind`."""
        return [measure for measure in self.values if measure[0] == kind]

    def as_json(self):
        """A list that json can write."""
        return [
            {"measure": list(measure), "samples": by_product}
            for measure, by_product in self.values.items()
        ]


def number(value):
    """Three significant digits, thousands separated."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(values):
    """Median and, if there are several, what they range over."""
    if not values:
        return "–"
    middle = number(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))}–{number(max(values))})"


def table(samples, kind, products, titles):
    """Rows of one kind: the measure's parts under `titles`, each product, the ratio."""
    ours, *others = products
    head = [*titles, *products, *(f"{ours} / {other}" for other in others)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for measure in samples.measures(kind):
        row = [str(part) for part in measure[1:]]
        row += [spread(samples.values[measure].get(product)) for product in products]
        for other in others:
            a, b = samples.median(measure, ours), samples.median(measure, other)
            row.append(f"{a / b:.2f}" if a is not None and b else "–")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)
