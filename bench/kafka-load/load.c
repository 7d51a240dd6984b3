/* The load of bench/kafka.py on librdkafka, with the client's own defaults where no option says
 * otherwise. One line of JSON on stdout; exit status 1 and a line on stderr if something failed.
 *
 *   kafka-load produce SERVERS TOPIC partitions= size= acks= idempotent= seconds= warmup=
 *   kafka-load fill    SERVERS TOPIC partitions= size= megabytes=
 *   kafka-load consume SERVERS TOPIC partitions= size= count= seconds=
 *   kafka-load latency SERVERS TOPIC size= acks= rate= seconds= warmup=
 *   kafka-load gap     SERVERS TOPIC seconds=
 *
 * cc -O2 -Wall -Wextra -o kafka-load load.c -lrdkafka -lpthread
 */
#define _GNU_SOURCE
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the command line asked for. */
static struct {
    const char *servers, *topic, *acks;
    int partitions, size, idempotent;
    long count, megabytes;
    double seconds, warmup, rate;
} ask = {.acks = "1", .partitions = 1, .size = 1024, .seconds = 5};

static _Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "kafka-load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t monotonic(void) { return now_ns(CLOCK_MONOTONIC); }

static void sleep_until(int64_t at) {
    struct timespec t = {at / 1000000000, at % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Latencies in microseconds, in buckets no wider than 1/64 of their value. */
enum { SUB_BITS = 6, SUB = 1 << SUB_BITS, BUCKETS = SUB * (64 - SUB_BITS) };
static struct {
    uint64_t buckets[BUCKETS], count, max;
} latencies;

static void record(uint64_t us) {
    int shift = us < SUB ? 0 : 63 - __builtin_clzll(us) - SUB_BITS;
    latencies.buckets[us < SUB ? us : (uint64_t)(shift + 1) * SUB + ((us >> shift) - SUB)]++;
    latencies.count++;
    if (us > latencies.max) latencies.max = us;
}

static uint64_t quantile(double fraction) {
    uint64_t rank = (uint64_t)(fraction * (double)latencies.count), seen = 0;
    for (uint64_t i = 0; i < BUCKETS; i++) {
        seen += latencies.buckets[i];
        if (seen > rank)
            return i < SUB ? i : (((i % SUB) + SUB + 1) << (i / SUB - 1)) - 1;
    }
    return latencies.max;
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value) {
    char why[256];
    if (rd_kafka_conf_set(conf, key, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        fail("%s=%s: %s", key, value, why);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char why[256];
    set(conf, "bootstrap.servers", ask.servers);
    rd_kafka_t *made = rd_kafka_new(type, conf, why, sizeof why);
    if (!made) fail("%s", why);
    return made;
}

/* A line of librdkafka's log to stderr would look like a failure of the bench. */
static void quiet(const rd_kafka_t *rk, int level, const char *facility, const char *line) {
    if (level <= 2) fprintf(stderr, "%s %s %s\n", rd_kafka_name(rk), facility, line);
}

/* Producing: what was acknowledged, told by the thread that polls. */
static struct {
    _Atomic uint64_t acknowledged;
    _Atomic uint64_t failed;
    /* Nothing more is sent: from now on the last acknowledgement's monotonic time is noted. */
    _Atomic bool ending;
    _Atomic int64_t last_ns;
    /* Unix times. */
    _Atomic int64_t gap_from_ns, gap_ns, gap_last_ns;
    _Atomic bool over;
    char first_error[256];
} told;

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    if (message->err) {
        if (atomic_fetch_add(&told.failed, 1) == 0)
            snprintf(told.first_error, sizeof told.first_error, "%s", rd_kafka_err2str(message->err));
        return;
    }
    atomic_fetch_add_explicit(&told.acknowledged, 1, memory_order_relaxed);
    if (told.ending) told.last_ns = monotonic();
}

static void delivered_with_gaps(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    delivered(rk, message, opaque);
    if (message->err) return;
    int64_t at = now_ns(CLOCK_REALTIME), last = told.gap_last_ns;
    if (last && at - last > told.gap_ns) {
        told.gap_ns = at - last;
        told.gap_from_ns = last;
    }
    told.gap_last_ns = at;
}

static void *poller(void *rk) {
    while (!told.over) rd_kafka_poll(rk, 50);
    return NULL;
}

struct producer {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    pthread_t thread;
    char *payload;
};

static struct producer start_producer(rd_kafka_conf_t *conf) {
    struct producer p;
    set(conf, "acks", ask.acks);
    set(conf, "enable.idempotence", ask.idempotent ? "true" : "false");
    set(conf, "queue.buffering.max.kbytes", "65536");
    set(conf, "queue.buffering.max.messages", "500000");
    rd_kafka_conf_set_log_cb(conf, quiet);
    p.rk = client(RD_KAFKA_PRODUCER, conf);
    p.topic = rd_kafka_topic_new(p.rk, ask.topic, NULL);
    if (!p.topic) fail("topic: %s", rd_kafka_err2str(rd_kafka_last_error()));
    /* The connection and the topic are there before the clock starts. */
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(p.rk, 0, p.topic, &metadata, 30000);
    if (error) fail("metadata: %s", rd_kafka_err2str(error));
    rd_kafka_metadata_destroy(metadata);
    p.payload = malloc((size_t)ask.size);
    for (int i = 0; i < ask.size; i++) p.payload[i] = (char)('a' + (i * 7 + i / 26) % 26);
    pthread_create(&p.thread, NULL, poller, p.rk);
    return p;
}

static void send_one(struct producer *p, int32_t partition) {
    while (rd_kafka_produce(p->topic, partition, RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK, p->payload,
                            (size_t)ask.size, NULL, 0, NULL) == -1)
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
}

static void end_producer(struct producer *p) {
    told.last_ns = monotonic();
    told.ending = true;
    rd_kafka_resp_err_t error = rd_kafka_flush(p->rk, 60000);
    told.over = true;
    pthread_join(p->thread, NULL);
    if (error) fail("flush: %s", rd_kafka_err2str(error));
    if (told.failed) fail("%lu records not delivered: %s", told.failed, told.first_error);
    rd_kafka_topic_destroy(p->topic);
    rd_kafka_destroy(p->rk);
    free(p->payload);
}

/* As fast as it goes, round robin over the partitions, until time or volume is over. */
static void produce(bool fill) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    struct producer p = start_producer(conf);
    int64_t begin = monotonic(), from = begin + (int64_t)(ask.warmup * 1e9);
    int64_t until = from + (int64_t)(ask.seconds * 1e9), at = begin;
    uint64_t limit = fill ? (uint64_t)ask.megabytes * 1000000 / (uint64_t)ask.size : UINT64_MAX;
    uint64_t before = 0;
    bool warm = fill;
    for (uint64_t sent = 0; sent < limit; sent++) {
        if (!fill && sent % 16 == 0) {
            at = monotonic();
            if (!warm && at >= from) {
                warm = true;
                from = at;
                before = told.acknowledged;
            }
            if (at >= until) break;
        }
        send_one(&p, (int32_t)(sent % (uint64_t)ask.partitions));
    }
    /* The last acknowledgement ends the run: what is still on its way when time is over counts too. */
    end_producer(&p);
    double seconds = (double)(told.last_ns - (fill ? begin : from)) / 1e9;
    uint64_t counted = told.acknowledged - before;
    printf("{\"records\": %lu, \"seconds\": %.3f, \"records_per_s\": %.0f, \"mb_per_s\": %.2f}\n",
           told.acknowledged, seconds, (double)counted / seconds,
           (double)counted * ask.size / seconds / 1e6);
}

struct consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
};

static struct consumer start_consumer(int64_t offset) {
    struct consumer c;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", "bench");
    set(conf, "enable.auto.commit", "false");
    rd_kafka_conf_set_log_cb(conf, quiet);
    c.rk = client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(c.rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(ask.partitions);
    for (int i = 0; i < ask.partitions; i++)
        rd_kafka_topic_partition_list_add(list, ask.topic, i)->offset = offset;
    rd_kafka_resp_err_t error = rd_kafka_assign(c.rk, list);
    if (error) fail("assign: %s", rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(list);
    c.queue = rd_kafka_queue_get_consumer(c.rk);
    return c;
}

static void end_consumer(struct consumer *c) {
    rd_kafka_queue_destroy(c->queue);
    rd_kafka_consumer_close(c->rk);
    rd_kafka_destroy(c->rk);
}

enum { TAKEN = 1000 };

/* All records from the beginning; the clock starts with the first, so that connecting is not in it. */
static void consume(void) {
    struct consumer c = start_consumer(0);
    rd_kafka_message_t *messages[TAKEN];
    int64_t give_up = monotonic() + (int64_t)(ask.seconds * 1e9), first = 0, last = 0;
    uint64_t got = 0, bytes = 0, before = 0;
    while (got < (uint64_t)ask.count) {
        /* It waits for as many as are asked for: not for more than there are. */
        size_t want = (uint64_t)ask.count - got < TAKEN ? (uint64_t)ask.count - got : TAKEN;
        ssize_t n = rd_kafka_consume_batch_queue(c.queue, 1000, messages, want);
        if (n < 0) fail("consume: %s", rd_kafka_err2str(rd_kafka_last_error()));
        last = monotonic();
        for (ssize_t i = 0; i < n; i++) {
            if (messages[i]->err) fail("consume: %s", rd_kafka_message_errstr(messages[i]));
            bytes += messages[i]->len;
            rd_kafka_message_destroy(messages[i]);
        }
        if (!first && n > 0) {
            first = last;
            before = bytes;
        }
        got += (uint64_t)n;
        if (last > give_up) fail("%lu of %ld records in %.0f s", got, ask.count, ask.seconds);
    }
    end_consumer(&c);
    double seconds = (double)(last - first) / 1e9;
    printf("{\"records\": %lu, \"seconds\": %.3f, \"mb_per_s\": %.2f}\n", got, seconds,
           (double)(bytes - before) / seconds / 1e6);
}

/* Of records whose time to be sent is after this one, latency counts. */
static int64_t counted_from;
static _Atomic bool sent_all;
static _Atomic bool reads;
static _Atomic int64_t received;

static void *receive(void *unused) {
    (void)unused;
    struct consumer c = start_consumer(RD_KAFKA_OFFSET_END);
    rd_kafka_message_t *messages[TAKEN];
    int64_t quiet_since = 0;
    for (;;) {
        ssize_t n = rd_kafka_consume_batch_queue(c.queue, 20, messages, 1);
        if (n < 0) fail("consume: %s", rd_kafka_err2str(rd_kafka_last_error()));
        int64_t at = monotonic();
        for (ssize_t i = 0; i < n; i++) {
            int64_t due;
            if (messages[i]->err) fail("consume: %s", rd_kafka_message_errstr(messages[i]));
            memcpy(&due, messages[i]->payload, sizeof due);
            rd_kafka_message_destroy(messages[i]);
            if (due == 0) {
                reads = true;
                continue;
            }
            received++;
            if (due >= counted_from) record((uint64_t)(at > due ? at - due : 0) / 1000);
        }
        if (n > 0 || !sent_all) quiet_since = at;
        else if (at - quiet_since > 500000000) break;
    }
    end_consumer(&c);
    return NULL;
}

/* A fixed rate, not slowed by late answers: each record carries the time at which it was due. */
static void latency(void) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    set(conf, "linger.ms", "0.5");
    if (ask.size < 8) fail("a size of 8 at the least holds the time");
    pthread_t thread;
    pthread_create(&thread, NULL, receive, NULL);
    struct producer p = start_producer(conf);
    int64_t due = 0;
    /* Until the consumer has found the end: a record marked with no time says that it reads. */
    for (int i = 0; i < 1000 && !reads; i++) {
        memcpy(p.payload, &due, sizeof due);
        send_one(&p, 0);
        sleep_until(monotonic() + 20000000);
    }
    if (!reads) fail("the consumer reads nothing");
    int64_t begin = monotonic() + 50000000;
    counted_from = begin + (int64_t)(ask.warmup * 1e9);
    uint64_t count = (uint64_t)(ask.rate * (ask.warmup + ask.seconds));
    for (uint64_t i = 0; i < count; i++) {
        due = begin + (int64_t)((double)i * 1e9 / ask.rate);
        if (monotonic() < due) sleep_until(due);
        memcpy(p.payload, &due, sizeof due);
        send_one(&p, 0);
    }
    double seconds = (double)(monotonic() - begin) / 1e9;
    end_producer(&p);
    sent_all = true;
    pthread_join(thread, NULL);
    if (received != (int64_t)count) fail("%ld of %lu records came", received, count);
    printf("{\"asked_per_s\": %.0f, \"sent_per_s\": %.0f, \"p50_us\": %lu, \"p99_us\": %lu, "
           "\"p999_us\": %lu, \"max_us\": %lu}\n",
           ask.rate, (double)count / seconds, quantile(0.5), quantile(0.99), quantile(0.999),
           latencies.max);
}

/* A record every millisecond, all acknowledged in the end: the longest time without an answer. */
static void gap(void) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, delivered_with_gaps);
    set(conf, "linger.ms", "0");
    ask.acks = "all";
    struct producer p = start_producer(conf);
    int64_t begin = monotonic();
    for (int64_t i = 0; i < (int64_t)(ask.seconds * 1000); i++) {
        sleep_until(begin + i * 1000000);
        send_one(&p, 0);
    }
    end_producer(&p);
    printf("{\"records\": %lu, \"gap_ms\": %.1f, \"gap_start_unix_ms\": %.1f, \"gap_end_unix_ms\": %.1f}\n",
           told.acknowledged, (double)told.gap_ns / 1e6, (double)told.gap_from_ns / 1e6,
           (double)(told.gap_from_ns + told.gap_ns) / 1e6);
}

static void option(char *text) {
    char *value = strchr(text, '=');
    if (!value) fail("%s: an option is name=value", text);
    *value++ = 0;
    if (!strcmp(text, "acks")) ask.acks = value;
    else if (!strcmp(text, "partitions")) ask.partitions = atoi(value);
    else if (!strcmp(text, "size")) ask.size = atoi(value);
    else if (!strcmp(text, "idempotent")) ask.idempotent = atoi(value);
    else if (!strcmp(text, "count")) ask.count = atol(value);
    else if (!strcmp(text, "megabytes")) ask.megabytes = atol(value);
    else if (!strcmp(text, "seconds")) ask.seconds = atof(value);
    else if (!strcmp(text, "warmup")) ask.warmup = atof(value);
    else if (!strcmp(text, "rate")) ask.rate = atof(value);
    else fail("no such option: %s", text);
}

int main(int argc, char **argv) {
    if (argc < 4) fail("kafka-load produce|fill|consume|latency|gap SERVERS TOPIC name=value...");
    const char *load = argv[1];
    ask.servers = argv[2];
    ask.topic = argv[3];
    for (int i = 4; i < argc; i++) option(argv[i]);
    if (ask.size < 1 || ask.partitions < 1) fail("size and partitions are 1 at the least");
    if (!strcmp(load, "produce")) produce(false);
    else if (!strcmp(load, "fill")) produce(true);
    else if (!strcmp(load, "consume")) consume();
    else if (!strcmp(load, "latency")) latency();
    else if (!strcmp(load, "gap")) gap();
    else fail("no such load: %s", load);
    return 0;
}
