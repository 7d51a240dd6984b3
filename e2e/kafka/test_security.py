"""Who comes in, and what they may do: TLS, SASL and access control lists."""

import asyncio
import json
import socket
import struct
import time

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic,
    ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism, UserScramCredentialDeletion,
    UserScramCredentialUpsertion)
from kafka import KafkaConsumer
from harness.certs import certificates
from harness.kafka import PEER
from harness.wait import until
from kazoo.client import KazooClient
from librdkafka import producer, send

pytestmark = pytest.mark.timeout(90)

MODULES = "org.apache.kafka.common.security"
DOORS = {"SSL": "SSL", "MUTUAL": "SSL", "SASL_PLAINTEXT": "SASL_PLAINTEXT",
         "SASL_SSL": "SASL_SSL", "SHORT": "SASL_PLAINTEXT"}
SHORT_MS = 1500
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


def properties():
    certs = certificates()
    said = {
        "listener.security.protocol.map": ",".join(
            ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT",
             *(f"{name}:{protocol}" for name, protocol in DOORS.items())]),
        "ssl.keystore.type": "PEM", "ssl.keystore.location": certs / "server-all.pem",
        "ssl.truststore.type": "PEM", "ssl.truststore.location": certs / "ca.pem",
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.principal.mapping.rules": "RULE:^CN=(.*?)$/$1-by-certificate/,DEFAULT",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "listener.name.short.connections.max.reauth.ms": SHORT_MS,
        "connection.failed.authentication.delay.ms": 50,
        "super.users": "User:ANONYMOUS;User:admin",
        "authorizer.class.name": {
            "real": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        }.get(PEER, "kafka.security.authorizer.AclAuthorizer"),
    }
    for door in ("sasl_plaintext", "sasl_ssl", "short"):
        users = " ".join(f'user_{user}="{user}-secret"' for user in ("admin", "alice", "bob"))
        said |= {f"listener.name.{door}.{mechanism}.sasl.jaas.config": f"{MODULES}.{module} required {rest};"
                 for mechanism, module, rest in [
                     ("plain", "plain.PlainLoginModule", users),
                     ("scram-sha-256", "scram.ScramLoginModule", ""),
                     ("scram-sha-512", "scram.ScramLoginModule", ""),
                     ("oauthbearer", "oauthbearer.OAuthBearerLoginModule",
                      'unsecuredLoginStringClaim_sub="admin"')]}
    return {key: str(value) for key, value in said.items()}


@pytest.fixture(scope="module")
def secure(start_broker):
    return start_broker(properties(), "secure", tuple(DOORS))


@pytest.fixture(scope="module")
def root(secure):
    """May do everything: the plain listener's nobody is a super user."""
    return AdminClient({"bootstrap.servers": secure.address})


@pytest.fixture(scope="module")
def scram_users(root):
    for user in ("alice", "bob"):
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            new = UserScramCredentialUpsertion(
                user, ScramCredentialInfo(mechanism, 4096), f"{user}-secret".encode())
            root.alter_user_scram_credentials([new])[user].result(30)


def door(broker, name, **options):
    """A client's configuration for a listener."""
    protocol = DOORS[name]
    said = {"bootstrap.servers": f"127.0.0.1:{broker.ports[name]}",
            "security.protocol": protocol.lower()}
    if "SSL" in protocol:
        said["ssl.ca.location"] = str(certificates() / "ca.pem")
    return said | {key.replace("_", "."): value for key, value in options.items()}


def as_user(broker, user="alice", mechanism="PLAIN", name="SASL_PLAINTEXT", password=None):
    if mechanism == "OAUTHBEARER":
        return door(broker, name, sasl_mechanism=mechanism,
                    enable_sasl_oauthbearer_unsecure_jwt="true",
                    sasl_oauthbearer_config=f"principal={user}")
    return door(broker, name, sasl_mechanism=mechanism, sasl_username=user,
                sasl_password=password or f"{user}-secret")


@pytest.fixture
def allow(root):
    """Adds entries to lists, which go with the test."""
    made = []

    def add(kind, resource, operation, user="alice", host="*", permission="ALLOW", prefixed=False):
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        binding = AclBinding(ResourceType[kind], resource, pattern, f"User:{user}", host,
                             AclOperation[operation], AclPermissionType[permission])
        root.create_acls([binding])[binding].result(30)
        made.append(binding)
        return binding

    yield add
    for binding in made:
        as_filter = AclBindingFilter(
            binding.restype, binding.name, binding.resource_pattern_type, binding.principal,
            binding.host, binding.operation, binding.permission_type)
        root.delete_acls([as_filter])[as_filter].result(30)


@pytest.fixture
def topic(root, name):
    new = NewTopic(name, num_partitions=1, replication_factor=1)
    root.create_topics([new])[name].result(30)
    until(lambda: root.list_topics(name, 10).topics[name].partitions, 20, "the topic")
    yield name
    root.delete_topics([name])


def made_producer(config, options=None):
    config = config | (options or {})
    return producer(config.pop("bootstrap.servers"), **config)


def produce(config, topic, value=b"v", **options):
    return send(made_producer(config, options), topic, [value])


def read(config, topic, group):
    """The first message, or the error."""
    consumer = Consumer(config | {"group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        end = time.monotonic() + 40
        while time.monotonic() < end:
            message = consumer.poll(0.5)
            if message and message.error():
                raise KafkaException(message.error())
            if message:
                consumer.commit(message, asynchronous=False)
                return message.value()
        raise AssertionError("no message")
    finally:
        consumer.close()


def failure(raised):
    return raised.value.args[0].code()


# Doors

@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("name_of_door", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_user_comes_in_by_every_mechanism(secure, scram_users, allow, topic, name, name_of_door, mechanism):
    config = as_user(secure, mechanism=mechanism, name=name_of_door)
    for operation in ("READ", "WRITE"):
        allow("TOPIC", topic, operation)
    allow("GROUP", name, "READ")
    produce(config, topic, b"x" * 100_000)
    assert read(config, topic, name) == b"x" * 100_000


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_kafka_python_comes_in(secure, scram_users, allow, topic, mechanism):
    allow("TOPIC", topic, "DESCRIBE")
    consumer = KafkaConsumer(
        bootstrap_servers=f"127.0.0.1:{secure.ports['SASL_SSL']}", security_protocol="SASL_SSL",
        ssl_cafile=str(certificates() / "ca.pem"), sasl_mechanism=mechanism,
        sasl_plain_username="alice", sasl_plain_password="alice-secret")
    try:
        assert topic in consumer.topics()
    finally:
        consumer.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_aiokafka_comes_in(secure, scram_users, allow, topic, mechanism):
    allow("TOPIC", topic, "DESCRIBE")

    async def topics(password):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=f"127.0.0.1:{secure.ports['SASL_PLAINTEXT']}",
            security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism,
            sasl_plain_username="alice", sasl_plain_password=password)
        try:
            await consumer.start()
            return await consumer.topics()
        finally:
            await consumer.stop()

    assert topic in asyncio.run(topics("alice-secret"))
    with pytest.raises(KafkaConnectionError):
        asyncio.run(topics("wrong"))


def complaint(config):
    """What a client says of its authentication."""
    told = []
    admin = AdminClient(config | {"error_cb": told.append})
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=3)
    admin.poll(0.1)
    errors = [error for error in told if error.code() == KafkaError._AUTHENTICATION]
    assert errors, told
    return errors[0].str()


@pytest.mark.parametrize("mechanism, said", [
    ("PLAIN", "Authentication failed: Invalid username or password"),
    ("SCRAM-SHA-256", "Authentication failed during authentication due to invalid credentials with "
                      "SASL mechanism SCRAM-SHA-256"),
    ("SCRAM-SHA-512", "Authentication failed during authentication due to invalid credentials with "
                      "SASL mechanism SCRAM-SHA-512"),
])
@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(secure, scram_users, mechanism, said, user):
    assert said in complaint(as_user(secure, user, mechanism, password="wrong"))


def test_a_mechanism_that_is_not_enabled_is_refused(secure):
    assert "GSSAPI" not in MECHANISMS
    broker = Raw(secure.ports["SASL_PLAINTEXT"])
    answer = broker.ask(17, 1, text("GSSAPI"))
    assert answer[:2] == struct.pack(">h", 33)
    assert all(mechanism.encode() in answer for mechanism in MECHANISMS)
    assert broker.is_closed()


def test_a_certificate_that_the_client_does_not_trust_ends_its_handshake(secure):
    config = door(secure, "SSL")
    del config["ssl.ca.location"]
    with pytest.raises(KafkaException):
        AdminClient(config).list_topics(timeout=3)


def test_who_shows_no_certificate_is_nobody(secure, topic):
    produce(door(secure, "SSL"), topic)


def test_a_certificate_names_its_user(secure, allow, topic):
    certs = certificates()
    config = door(secure, "MUTUAL", ssl_certificate_location=str(certs / "client.pem"),
                  ssl_key_location=str(certs / "client.key"))
    with pytest.raises(KafkaException) as raised:
        produce(config, topic)
    assert failure(raised) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow("TOPIC", topic, "WRITE", "client-by-certificate")
    produce(config, topic)


def test_without_a_certificate_the_mutual_door_is_closed(secure):
    with pytest.raises(KafkaException):
        AdminClient(door(secure, "MUTUAL")).list_topics(timeout=3)


# At the lowest: what clients never do, or did long ago.

def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def blob(value):
    return struct.pack(">i", len(value)) + value


class Raw:
    """A connection, frame by frame."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(10)

    def send(self, frame):
        self.socket.sendall(blob(frame))

    def receive(self):
        head = self.socket.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            raise EOFError
        return self.socket.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL)

    def ask(self, key, version, body=b""):
        self.send(struct.pack(">hhi", key, version, 7) + text("raw") + body)
        answer = self.receive()
        assert answer[:4] == struct.pack(">i", 7)
        return answer[4:]

    def is_closed(self):
        try:
            self.receive()
        except (EOFError, ConnectionError):
            return True
        return False

    def log_in(self, user, password=None):
        """By PLAIN; the session's lifetime in milliseconds."""
        assert self.ask(17, 1, text("PLAIN"))[:2] == b"\0\0"
        token = f"\0{user}\0{password or user + '-secret'}".encode()
        answer = self.ask(36, 1, blob(token))
        assert answer[:2] == b"\0\0", answer
        return struct.unpack(">q", answer[-8:])[0]


METADATA_OF_NOTHING = struct.pack(">i", 0)


@pytest.mark.parametrize("before", [False, True], ids=["at-once", "after-handshake"])
def test_nothing_is_answered_before_authentication(secure, before):
    broker = Raw(secure.ports["SASL_PLAINTEXT"])
    broker.ask(18, 0)
    if before:
        broker.ask(17, 1, text("PLAIN"))
    broker.send(struct.pack(">hhi", 3, 1, 7) + text("raw") + METADATA_OF_NOTHING)
    # Kafka has a word more to say to who named a mechanism, but not of the cluster.
    try:
        assert b"127.0.0.1" not in broker.receive()
    except (EOFError, ConnectionError):
        return
    assert broker.is_closed()


def test_clients_of_long_ago_send_their_tokens_bare(secure):
    broker = Raw(secure.ports["SASL_PLAINTEXT"])
    assert broker.ask(17, 0, text("PLAIN"))[:2] == b"\0\0"
    broker.send(b"\0alice\0alice-secret")
    assert broker.receive() == b""
    assert broker.ask(3, 1, METADATA_OF_NOTHING)
    refused = Raw(secure.ports["SASL_PLAINTEXT"])
    refused.ask(17, 0, text("PLAIN"))
    refused.send(b"\0alice\0wrong")
    assert refused.is_closed()


def test_who_is_in_cannot_authenticate_again(secure):
    broker = Raw(secure.ports["SASL_PLAINTEXT"])
    assert broker.log_in("alice") == 0
    assert broker.ask(17, 1, text("PLAIN"))[:2] == struct.pack(">h", 34)
    assert broker.ask(3, 1, METADATA_OF_NOTHING)


def test_a_session_that_is_not_renewed_ends(secure):
    broker = Raw(secure.ports["SHORT"])
    assert broker.log_in("alice") == SHORT_MS
    begun = time.monotonic()
    while not closed_by(broker):
        assert time.monotonic() < begun + 20
        time.sleep(0.05)
    assert time.monotonic() - begun > SHORT_MS / 1000 - 0.2


def closed_by(broker):
    try:
        broker.ask(3, 1, METADATA_OF_NOTHING)
        return False
    except (EOFError, ConnectionError):
        return True


def test_a_session_is_renewed_by_the_same_user_only(secure):
    broker = Raw(secure.ports["SHORT"])
    broker.log_in("alice")
    assert broker.log_in("alice") == SHORT_MS
    assert broker.ask(3, 1, METADATA_OF_NOTHING)
    other = Raw(secure.ports["SHORT"])
    other.log_in("alice")
    other.ask(17, 1, text("PLAIN"))
    answer = other.ask(36, 1, blob(b"\0bob\0bob-secret"))
    assert answer[:2] == struct.pack(">h", 58)
    assert b"Cannot change principals during re-authentication from User.alice: User.bob" in answer
    assert other.is_closed()


# Access

def test_a_topic_is_unknown_to_who_may_not_describe_it(secure, allow, topic):
    alice = AdminClient(as_user(secure))
    assert topic not in alice.list_topics(timeout=10).topics
    asked = alice.list_topics(topic, 10).topics[topic]
    assert asked.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert not asked.partitions
    allow("TOPIC", topic, "READ")
    assert topic in alice.list_topics(timeout=10).topics


def test_writing_needs_the_right_to_write(secure, allow, topic):
    with pytest.raises(KafkaException) as raised:
        produce(as_user(secure), topic)
    assert failure(raised) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow("TOPIC", topic, "DESCRIBE")
    with pytest.raises(KafkaException) as raised:
        produce(as_user(secure), topic)
    assert failure(raised) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow("TOPIC", topic, "WRITE")
    produce(as_user(secure), topic)


def test_an_idempotent_producer_needs_a_topic_that_it_may_write(secure, allow, topic):
    with pytest.raises(KafkaException) as raised:
        produce(as_user(secure), topic, **{"enable.idempotence": True, "message.timeout.ms": 5000})
    assert failure(raised) in (KafkaError.TOPIC_AUTHORIZATION_FAILED,
                               KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError._FATAL)
    allow("TOPIC", topic, "WRITE")
    produce(as_user(secure), topic, **{"enable.idempotence": True})


def test_reading_needs_the_topic_and_the_group(secure, root, allow, topic, name):
    produce({"bootstrap.servers": secure.address}, topic, b"seen")
    allow("TOPIC", topic, "READ")
    with pytest.raises(KafkaException) as raised:
        read(as_user(secure), topic, name)
    assert failure(raised) == KafkaError.GROUP_AUTHORIZATION_FAILED
    allow("GROUP", name, "READ")
    assert read(as_user(secure), topic, name) == b"seen"
    with pytest.raises(KafkaException) as raised:
        read(as_user(secure, "bob"), topic, name)
    assert failure(raised) in (KafkaError.GROUP_AUTHORIZATION_FAILED,
                               KafkaError.TOPIC_AUTHORIZATION_FAILED)


def test_a_denial_is_stronger_and_a_prefix_is_enough(secure, allow, topic):
    allow("TOPIC", topic[:10], "ALL", prefixed=True)
    produce(as_user(secure), topic)
    allow("TOPIC", "*", "WRITE", "*", permission="DENY")
    with pytest.raises(KafkaException) as raised:
        produce(as_user(secure), topic)
    assert failure(raised) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_an_entry_is_for_its_host(secure, allow, topic):
    allow("TOPIC", topic, "WRITE", host="10.1.2.3")
    with pytest.raises(KafkaException):
        produce(as_user(secure), topic)
    allow("TOPIC", topic, "WRITE", host="127.0.0.1")
    produce(as_user(secure), topic)


def test_a_transaction_needs_its_id(secure, allow, topic, name):
    allow("TOPIC", topic, "WRITE")

    def transaction():
        made = made_producer(as_user(secure), {"transactional.id": name})
        made.init_transactions(10)
        made.begin_transaction()
        made.produce(topic, b"in a transaction")
        made.commit_transaction(10)

    with pytest.raises(KafkaException) as raised:
        transaction()
    assert failure(raised) == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    allow("TRANSACTIONAL_ID", name, "WRITE")
    transaction()


def test_topics_are_made_and_deleted_by_who_may(secure, root, allow, name):
    alice = AdminClient(as_user(secure))
    new = NewTopic(name, num_partitions=1, replication_factor=1)
    with pytest.raises(KafkaException) as raised:
        alice.create_topics([new])[name].result(30)
    assert failure(raised) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow("TOPIC", name, "CREATE")
    alice.create_topics([new])[name].result(30)
    until(lambda: name in root.list_topics(timeout=10).topics, 20, "the topic")
    with pytest.raises(KafkaException) as raised:
        alice.delete_topics([name])[name].result(30)
    assert failure(raised) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow("TOPIC", name, "DELETE")
    alice.delete_topics([name])[name].result(30)


def test_the_cluster_is_changed_by_who_may(secure, allow):
    alice = AdminClient(as_user(secure))
    anything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None,
                                AclOperation.ANY, AclPermissionType.ANY)
    # This client does not tell a refusal from an empty list.
    assert not alice.describe_acls(anything).result(30)
    new = AclBinding(ResourceType.TOPIC, "t", ResourcePatternType.LITERAL, "User:alice", "*",
                     AclOperation.READ, AclPermissionType.ALLOW)
    with pytest.raises(KafkaException) as raised:
        alice.create_acls([new])[new].result(30)
    assert failure(raised) == KafkaError.CLUSTER_AUTHORIZATION_FAILED
    allow("BROKER", "kafka-cluster", "DESCRIBE")
    assert alice.describe_acls(anything).result(30)


def test_a_client_is_told_what_it_may_do(secure, root, allow):
    alice = AdminClient(as_user(secure))
    seen = alice.describe_cluster(include_authorized_operations=True).result(30)
    assert not seen.authorized_operations
    allow("BROKER", "kafka-cluster", "ALTER")
    seen = alice.describe_cluster(include_authorized_operations=True).result(30)
    assert set(seen.authorized_operations) == {AclOperation.ALTER, AclOperation.DESCRIBE}
    everything = root.describe_cluster(include_authorized_operations=True).result(30)
    assert set(everything.authorized_operations) == {
        AclOperation[name] for name in ("CREATE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS",
                                        "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "ALTER", "DESCRIBE")}


def test_lists_are_described_as_they_were_made(root, allow, name):
    literal = allow("TOPIC", name, "READ")
    prefixed = allow("TOPIC", name[:5], "WRITE", prefixed=True, permission="DENY", host="1.2.3.4")

    def found(resource, kind):
        asked = AclBindingFilter(ResourceType.TOPIC, resource, kind, None, None,
                                 AclOperation.ANY, AclPermissionType.ANY)
        return set(root.describe_acls(asked).result(30))

    assert found(name, ResourcePatternType.LITERAL) == {literal}
    assert found(name, ResourcePatternType.MATCH) == {literal, prefixed}
    assert found(name[:5], ResourcePatternType.ANY) == {prefixed}


@pytest.mark.parametrize("kind, resource, operation", [
    ("BROKER", "other", "ALTER"),
], ids=["cluster"])
def test_an_entry_that_makes_no_sense_is_refused(allow, kind, resource, operation):
    with pytest.raises(KafkaException) as raised:
        allow(kind, resource, operation)
    assert failure(raised) == KafkaError.INVALID_REQUEST


# Users

def credentials(root, user):
    try:
        seen = root.describe_user_scram_credentials([user])[user].result(30)
    except KafkaException as error:
        return error.args[0].code()
    return sorted((info.mechanism, info.iterations) for info in seen.scram_credential_infos)


def test_a_user_is_made_changed_and_deleted(secure, root, name):
    mechanism = ScramMechanism.SCRAM_SHA_256
    assert credentials(root, name) == KafkaError.RESOURCE_NOT_FOUND

    def alter(change):
        root.alter_user_scram_credentials([change])[name].result(30)

    for password, iterations in ((b"first", 4096), (b"second", 8192)):
        alter(UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, iterations), password))
        until(lambda: credentials(root, name) == [(mechanism, iterations)], 20, "the credential")
        config = as_user(secure, name, "SCRAM-SHA-256", password=password.decode())
        assert AdminClient(config).list_topics(timeout=10)
    alter(UserScramCredentialDeletion(name, mechanism))
    until(lambda: credentials(root, name) == KafkaError.RESOURCE_NOT_FOUND, 20, "no credential")
    assert "SCRAM-SHA-256" in complaint(as_user(secure, name, "SCRAM-SHA-256", password="second"))


@pytest.mark.parametrize("iterations", [4095, 16385])
def test_iterations_have_limits(root, name, iterations):
    new = UserScramCredentialUpsertion(
        name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, iterations), b"secret")
    with pytest.raises(KafkaException) as raised:
        root.alter_user_scram_credentials([new])[name].result(30)
    assert failure(raised) == KafkaError.UNACCEPTABLE_CREDENTIAL


@pytest.mark.tree
def test_users_and_lists_are_where_kafka_keeps_them(secure, scram_users, allow, name):
    allow("TOPIC", name, "DESCRIBE_CONFIGS")
    allow("GROUP", name, "READ", prefixed=True, permission="DENY", host="1.2.3.4")
    tree = KazooClient(secure.zookeeper)
    tree.start(20)
    try:
        assert json.loads(tree.get(f"/kafka-acl/Topic/{name}")[0]) == {
            "version": 1, "acls": [{"principal": "User:alice", "permissionType": "Allow",
                                    "operation": "DescribeConfigs", "host": "*"}]}
        assert json.loads(tree.get(f"/kafka-acl-extended/prefixed/Group/{name}")[0]) == {
            "version": 1, "acls": [{"principal": "User:alice", "permissionType": "Deny",
                                    "operation": "Read", "host": "1.2.3.4"}]}
        config = json.loads(tree.get("/config/users/alice")[0])["config"]
        said = dict(pair.split("=", 1) for pair in config["SCRAM-SHA-512"].split(","))
        assert list(said) == ["salt", "stored_key", "server_key", "iterations"]
        assert said["iterations"] == "4096"
    finally:
        tree.stop()
        tree.close()
