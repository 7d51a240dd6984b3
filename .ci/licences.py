#!/usr/bin/env python3
"""Checks every crate that is compiled in against deny.toml: licences, bans, sources.

The rules are cargo-deny's and are read from its own file, so `cargo deny check licenses bans sources`
says the same; this needs nothing but cargo and Python, and no minutes of building. Advisories need a
database that is not in the crates' registry: `cargo deny check advisories`, where there is network.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def tokens(expression):
    return re.findall(r"\(|\)|[^\s()/]+", expression.replace("/", " OR "))


def accepted(expression, allowed):
    """Whether an SPDX expression can be met with allowed licences only."""
    rest = tokens(expression)

    def term():
        token = rest.pop(0)
        if token == "(":
            value = either()
            rest.pop(0)
        else:
            value = token in allowed
            if rest[:1] == ["WITH"]:
                value = f"{token} WITH {rest[1]}" in allowed
                del rest[:2]
        return value

    def both():
        value = term()
        while rest[:1] == ["AND"]:
            rest.pop(0)
            value = term() and value
        return value

    def either():
        value = both()
        while rest[:1] == ["OR"]:
            rest.pop(0)
            value = both() or value
        return value

    return either()


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    allowed = set(rules["licenses"]["allow"])
    banned = {ban["crate"] if isinstance(ban, dict) else ban for ban in rules["bans"]["deny"]}
    registries = set(rules["sources"]["allow-registry"])
    clarified = {c["crate"]: c["expression"] for c in rules["licenses"].get("clarify", [])}
    targets = [argument for target in rules["graph"]["targets"]
               for argument in ("--filter-platform", target)]
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features", *targets],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    problems, others = [], 0
    for package in metadata["packages"]:
        name, version = package["name"], package["version"]
        if package["id"] not in used:
            continue
        licence = clarified.get(name) or package["license"]
        if not licence:
            problems.append(f"{name} {version}: names no licence")
        elif not accepted(licence, allowed):
            problems.append(f"{name} {version}: licence {licence} is not allowed")
        if name in banned:
            problems.append(f"{name} {version}: is banned")
        source = package["source"]
        if source is None:
            if not pathlib.Path(package["manifest_path"]).is_relative_to(ROOT):
                problems.append(f"{name} {version}: lies outside the repository")
            continue
        others += 1
        if source.removeprefix("registry+") not in registries:
            problems.append(f"{name} {version}: comes from {source}")
    for problem in problems:
        print(f"licences: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"licences: {others} crates of others, all allowed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
