//! What comes in and goes out: records, requests, connections, and the threads that see to them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use polyport_kafka_codec::ApiKey;
use polyport_telemetry::{Summary, Value};

use super::{Lines, Page};
use crate::broker::{Broker, Stats, TopicStats};

/// Quantiles of times.
const QUANTILES: &[f64] = &[0.5, 0.95, 0.99, 0.999];

type Counted = (&'static str, &'static str, fn(&TopicStats) -> &AtomicU64);

const TOPICS: [Counted; 8] = [
    (
        "kafka_server_brokertopicmetrics_messagesin_total",
        "Records that producers sent, without those of batches that came twice",
        |stats| &stats.messages_in,
    ),
    (
        "kafka_server_brokertopicmetrics_bytesin_total",
        "Bytes of records that producers sent, as they came (compressed)",
        |stats| &stats.bytes_in,
    ),
    (
        "kafka_server_brokertopicmetrics_bytesout_total",
        "Bytes of records that consumers were sent, as they are stored (compressed)",
        |stats| &stats.bytes_out,
    ),
    (
        "kafka_server_brokertopicmetrics_bytesrejected_total",
        "Bytes of records that were refused",
        |stats| &stats.bytes_rejected,
    ),
    (
        "kafka_server_brokertopicmetrics_totalproducerequests_total",
        "Produce requests, one for each partition in a request",
        |stats| &stats.produce_requests,
    ),
    (
        "kafka_server_brokertopicmetrics_totalfetchrequests_total",
        "Fetch requests, one for each partition in an answer",
        |stats| &stats.fetch_requests,
    ),
    (
        "kafka_server_brokertopicmetrics_failedproducerequests_total",
        "Of the produce requests, those that failed; not if the client only has old metadata",
        |stats| &stats.failed_produce,
    ),
    (
        "kafka_server_brokertopicmetrics_failedfetchrequests_total",
        "Of the fetch requests, those that failed; not if the client only has old metadata, or an \
         offset that is not there any more",
        |stats| &stats.failed_fetch,
    ),
];

pub(super) fn add(broker: &Broker, page: &mut Page) {
    topics(&broker.stats, page);
    requests(&broker.stats, page);
    waiting(broker, page);
    threads(broker, page);
}

fn topics(stats: &Stats, page: &mut Page) {
    let (sum, each) = stats.topics(|stats| TOPICS.map(|(.., of)| of(stats).load(Relaxed)));
    for (at, (name, help, _)) in TOPICS.into_iter().enumerate() {
        let mut lines: Lines = Vec::with_capacity(1 + each.len());
        lines.push((Vec::new(), Value::Counter(sum[at])));
        let line = |(topic, counts): &(String, [u64; 8])| {
            (vec![("topic", topic.clone())], Value::Counter(counts[at]))
        };
        lines.extend(each.iter().map(line));
        page.lines("counter", name, help, lines);
    }
}

/// What Kafka calls an API's requests: fetches are counted as what they are, and by who fetches.
fn names(api: ApiKey) -> Vec<&'static str> {
    match api {
        ApiKey::Fetch => vec!["Fetch", "FetchConsumer"],
        api => vec![api.name()],
    }
}

fn requests(stats: &Stats, page: &mut Page) {
    let by_request = |of: &dyn Fn(ApiKey) -> Option<Value>| -> Lines {
        let mut lines = Vec::new();
        for api in ApiKey::ALL {
            let Some(value) = of(*api) else { continue };
            let line = |name: &str| (vec![("request", name.to_owned())], value.clone());
            lines.extend(names(*api).into_iter().map(line));
        }
        lines
    };
    let count = |api| {
        let count = stats.requests.of(api);
        let shown = count > 0 || matches!(api, ApiKey::Produce | ApiKey::Fetch);
        shown.then_some(Value::Counter(count))
    };
    let times = |summary: Option<&Summary>| {
        summary.map(|summary| Value::Summary(summary.millis(), QUANTILES))
    };
    page.lines(
        "counter",
        "kafka_network_requestmetrics_requests_total",
        "Requests by API, of all versions together",
        by_request(&count),
    );
    page.lines(
        "summary",
        "kafka_network_requestmetrics_totaltimems",
        "Milliseconds from a request's last byte to its answer, with all that it waited for \
         (records, acknowledgements, members of a group); since the start",
        by_request(&|api| times(stats.requests.total(api))),
    );
    page.lines(
        "summary",
        "kafka_network_requestmetrics_localtimems",
        "Milliseconds of it without what was waited for; Produce and Fetch",
        by_request(&|api| times(stats.requests.local(api))),
    );
}

fn waiting(broker: &Broker, page: &mut Page) {
    let stats = &broker.stats;
    let sizes = [("Produce", stats.waiting_produce.now()), ("Fetch", stats.waiting_fetch.now())];
    let line = |(what, size): (&str, u64)| {
        (vec![("delayedOperation", what.to_owned())], super::gauge(size))
    };
    page.lines(
        "gauge",
        "kafka_server_delayedoperationpurgatory_purgatorysize",
        "Requests that wait: Produce for acknowledgements, Fetch for records",
        sizes.into_iter().map(line).collect(),
    );
    page.gauge(
        "kafka_server_fetchsessioncache_numincrementalfetchsessions",
        "Fetch sessions",
        broker.fetch_sessions.len(),
    );
    page.gauge(
        "kafka_server_socket_server_metrics_connection_count",
        "Clients' connections that are open, of all listeners",
        stats.open_connections(),
    );
    page.counter(
        "kafka_server_socket_server_metrics_connection_creation_total",
        "Clients' connections that were opened",
        stats.connections_opened.load(Relaxed),
    );
    page.gauge(
        "kafka_server_kafkaserver_brokerstate",
        "3 for a broker that works, 6 for one that is being stopped",
        if *broker.draining.borrow() { 6 } else { 3 },
    );
}

fn threads(broker: &Broker, page: &mut Page) {
    let threads = broker.threads.metrics();
    let count = threads.num_workers();
    let busy = (0..count).map(|worker| threads.worker_total_busy_duration(worker).as_secs_f64());
    let busy: f64 = busy.sum();
    let could = broker.stats.started.elapsed().as_secs_f64() * count as f64;
    let idle = if could > 0.0 { (1.0 - busy / could).clamp(0.0, 1.0) } else { 1.0 };
    page.add(
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
        "Share of their time that num.io.threads were idle, since the start; for the present take the \
         rate of polyport_kafka_io_busy_seconds_total",
        Value::Ratio(idle),
    );
    page.add(
        "kafka_network_socketserver_networkprocessoravgidle_percent",
        "The same number: the threads that handle requests read and write the sockets",
        Value::Ratio(idle),
    );
    page.gauge("polyport_kafka_io_threads", "Threads that serve Kafka's clients", count);
    page.add(
        "polyport_kafka_io_busy_seconds_total",
        "How long they have worked, all together",
        Value::Total(busy),
    );
}
