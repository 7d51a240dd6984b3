//! Kafka's messages: bytes to requests and responses and back, for servers and clients alike.
//! Reference: the message schemas of Apache Kafka 3.9, and of 4.0 where today's clients want more.
//!
//! Pure: no sockets, no clock. A peer's bytes never panic, and no memory is taken for a length that
//! has not arrived.
