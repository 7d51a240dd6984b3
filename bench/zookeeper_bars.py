"""What ZooKeeper's service must reach."""

from bars import Bars


def bars(samples, ours, reference):
    """A markdown table of the bars."""
    found = Bars(samples, ours, reference)
    judge, ratio = found.judge, found.ratio
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
        mine = found.mine(measure)
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
    return found.text()
