"""What Polyport must reach, judged on the medians of one run."""

from table import number


def bars(samples, ours, reference):
    """Lines of a markdown table: the bar, what was found, whether it is met."""
    rows = []

    def judge(what, found, wanted, met):
        if found is not None:
            rows.append(f"| {what} | {number(found)} | {wanted} | {'yes' if met(found) else 'NO'} |")

    def ratio(measure):
        a, b = samples.median(measure, ours), samples.median(measure, reference)
        return a / b if a is not None and b else None

    for nodes in (1, 3):
        for op, factor in (("create", 3), ("set", 3), ("get", 3)):
            judge(f"{op}/s, 16 connections pipelined, {nodes} node(s), to ZooKeeper's",
                  ratio(("ops/s", nodes, op, 16, 16)), f"≥ {factor}", lambda x, f=factor: x >= f)
        judge(f"set/s, one connection, one at a time, {nodes} node(s), to ZooKeeper's",
              ratio(("ops/s", nodes, "set", 1, 1)), "≥ 1", lambda x: x >= 1)
        judge(f"p99 of writes at half of ZooKeeper's peak, {nodes} node(s), to ZooKeeper's",
              ratio(("latency", nodes, "p99, us")), "< 1", lambda x: x < 1)
    for measure in samples.measures("other"):
        what = measure[1]
        mine = samples.median(measure, ours)
        if what.startswith("memory of a node, idle"):
            judge(f"{what}, MiB", mine, "≤ 20", lambda x: x <= 20)
        elif what.startswith("memory, "):
            judge(f"{what}, to ZooKeeper's", ratio(measure), "≤ 0.25", lambda x: x <= 0.25)
        elif what == "start to first answer, empty tree":
            judge(f"{what}, ms", mine, "≤ 300", lambda x: x <= 300)
        elif what == "failover: kill to next acknowledged write":
            judge(f"{what}, to ZooKeeper's", ratio(measure), "≤ 1", lambda x: x <= 1)
    lost = samples.values.get(("other", "failover: lost sessions", "each kill"), {}).get(ours)
    if lost:
        judge("failover: sessions lost in all", sum(lost), "0", lambda x: x == 0)
    if not rows:
        return ""
    return "\n".join(["| bar | found | wanted | met |", "|---|---|---|---|", *rows])
