"""Changing the ensemble while it runs, on one of its own."""

import pytest

from harness.raw import (
    BAD_ARGUMENTS, BAD_VERSION, NO_AUTH, RECONFIG, Closed, Raw, i64, text,
)
from harness.settings import SUPER, Settings
from harness.wait import until

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def ensemble(make_cluster):
    cluster = make_cluster(nodes=3, settings=Settings(), name="reconfig")
    yield cluster
    for node in cluster:
        node.kill()


@pytest.fixture
def root(ensemble):
    """The super user, at the leader: its connection outlives a follower's change of role."""
    with Raw(ensemble.leader().address) as connection:
        connection.auth("digest", SUPER.encode())
        yield connection


def body(joining=None, leaving=None, members=None, config=-1):
    return text(joining) + text(leaving) + text(members) + i64(config)


def members(connection):
    return connection.get("/zookeeper/config")[0].decode().splitlines()[:-1]


def test_needs_the_right(ensemble):
    with Raw(ensemble[0].address) as connection:
        assert connection.error(RECONFIG, body(leaving="3")) == NO_AUTH


def test_of_another_version_is_refused(root):
    assert root.error(RECONFIG, body(leaving="1", config=0x7777)) == BAD_VERSION


def test_of_nonsense_is_refused(root):
    assert root.error(RECONFIG, body(joining="server.9=nonsense")) == BAD_ARGUMENTS


def test_a_standalone_server_is_not_what_is_left(root):
    one = members(root)[0]
    assert root.error(RECONFIG, body(members=one)) == BAD_ARGUMENTS
    everyone = ",".join(line.split("=")[0].removeprefix("server.") for line in members(root)[1:])
    assert root.error(RECONFIG, body(leaving=everyone)) == BAD_ARGUMENTS


def test_a_follower_becomes_an_observer_and_comes_back(ensemble, root):
    follower = ensemble.followers()[-1]
    line = next(x for x in members(root) if x.startswith(f"server.{follower.number}="))
    as_observer = line.replace(":participant", ":observer")
    answer = root.call(RECONFIG, body(joining=as_observer))
    assert as_observer in answer.buffer().decode().splitlines()
    assert as_observer in members(root)
    until(lambda: follower.mode() == "observer", 30, "the observer")
    root.call(RECONFIG, body(joining=line))
    assert line in members(root)
    until(lambda: follower.mode() == "follower", 30, "the follower")


def test_a_member_leaves_and_joins_again(ensemble, root):
    follower = ensemble.followers()[0]
    line = next(x for x in members(root) if x.startswith(f"server.{follower.number}="))
    version = root.get("/zookeeper/config")[0].decode().splitlines()[-1]
    root.call(RECONFIG, body(leaving=str(follower.number)))
    assert len(members(root)) == 2
    assert root.get("/zookeeper/config")[0].decode().splitlines()[-1] != version
    root.create("/while-two", b"x")
    root.call(RECONFIG, body(joining=line))
    assert len(members(root)) == 3

    def caught_up():
        try:
            with Raw(follower.address) as connection:
                connection.sync("/")
                return connection.exists("/while-two")
        except (Closed, OSError):
            return None

    until(caught_up, 30, "the member's return")
