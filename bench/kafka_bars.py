"""What Kafka's service must reach."""

from bars import Bars


def bars(samples, ours, reference):
    """A markdown table of the bars."""
    found = Bars(samples, ours, reference)
    judge, ratio = found.judge, found.ratio
    judge("produce, 1 KiB, acks=1, one partition, to Kafka's",
          ratio(("produce", 1, "1 KiB", "1", 1)), "≥ 1.5", lambda x: x >= 1.5)
    judge("consume, hot, 1 KiB, one partition, to Kafka's",
          ratio(("consume", "hot", "1 KiB", 1)), "≥ 1.5", lambda x: x >= 1.5)
    for measure in samples.measures("latency"):
        if measure[2] == "p99, ms" and measure[1].startswith("half"):
            judge("end-to-end p99 at half of Kafka's peak, to Kafka's", ratio(measure),
                  "≤ 0.33", lambda x: x <= 1 / 3)
    for measure in samples.measures("other"):
        what, mine = measure[1], found.mine(measure)
        if what == "memory, idle":
            judge(f"{what}, MiB", mine, "≤ 30", lambda x: x <= 30)
        elif what.startswith("memory, 2,000 partitions"):
            judge(f"{what}, MiB", mine, "≤ 150", lambda x: x <= 150)
        elif what.startswith("start, 2,000 partitions"):
            judge(f"{what}, ms", mine, "≤ 1,000", lambda x: x <= 1000)
        elif what.startswith("start, 10 GiB of log after kill -9"):
            judge(f"{what}, ms", mine, "≤ 5,000", lambda x: x <= 5000)
    return found.text()
