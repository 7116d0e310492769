/*
 * The inner loop of load.py: reads subscribers' sockets and counts events by the number in their payload.
 *
 * In C so that the client costs less than the hubs it measures. A byte per subscriber and number makes losses and
 * doubles exact; latency goes into a histogram of 100 us steps. Built by load.py: cc -O2 -shared -fPIC.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define MARK "\"n\":\"" /* stands before an event's number, once in each event and nowhere else */
#define MARK_BYTES 5
#define DIGITS 10
#define READ_BYTES 262144
#define REST_BYTES 131072 /* of an event that has not come whole: the largest of platform.py has 50 KB */
#define STEPS 1000000   /* of the histogram: 100 s */
#define READY 256

struct subscriber {
    int open;
    uint32_t held, count, doubled;
    uint8_t *seen;
    char *rest;
};

struct reader {
    /* what load.py reads */
    uint64_t delivered, doubled, reads, closed, overlong;
    double last_read, busy; /* by CLOCK_MONOTONIC; and the seconds spent on what was ready */
    uint32_t histogram[STEPS];
    /* what it gives */
    uint64_t base, total;
    const double *sent;
    /* our own */
    int limit;
    struct subscriber *subscribers;
    char buffer[REST_BYTES + READ_BYTES];
};

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

struct reader *reader_new(int limit) {
    struct reader *reader = calloc(1, sizeof *reader);
    reader->limit = limit;
    reader->subscribers = calloc((size_t)limit, sizeof *reader->subscribers);
    return reader;
}

/* Count a subscriber in; `rest` is what came after its answer's head. */
void reader_add(struct reader *reader, int fd, const char *rest, uint32_t size) {
    struct subscriber *one = &reader->subscribers[fd];
    one->open = 1;
    if (!one->rest)
        one->rest = malloc(REST_BYTES); /* the kernel gives only the pages that are written */
    one->held = size < REST_BYTES ? size : 0;
    memcpy(one->rest, rest, one->held);
}

/* From here on, numbers [base, base + total) count; `sent` says when each was published. */
void reader_expect(struct reader *reader, uint64_t base, uint64_t total, const double *sent) {
    reader->base = base, reader->total = total, reader->sent = sent;
    reader->delivered = reader->doubled = reader->reads = 0;
    reader->busy = 0;
    memset(reader->histogram, 0, sizeof reader->histogram);
    for (int fd = 0; fd < reader->limit; fd++)
        if (reader->subscribers[fd].open) {
            free(reader->subscribers[fd].seen);
            reader->subscribers[fd].seen = calloc(total ? total : 1, 1);
        }
}

/* Cut out chunk boundaries (CRLF, hexadecimal size, CRLF), wherever a proxy has put them; payloads hold no CR. */
static size_t unchunk(char *data, size_t size) {
    char *out = data, *from = data, *end = data + size;
    while (from < end) {
        char *mark = memchr(from, '\r', (size_t)(end - from)), *to;
        size_t before = (size_t)((mark ? mark : end) - from);
        memmove(out, from, before);
        out += before;
        if (!mark)
            break;
        to = mark + 2 < end ? memchr(mark + 2, '\n', (size_t)(end - mark - 2)) : NULL;
        if (!to)
            break;
        from = to + 1;
    }
    return (size_t)(out - data);
}

static void count(struct reader *reader, struct subscriber *one, char *data, size_t size, double at) {
    char *end = data + size;
    while ((data = memmem(data, (size_t)(end - data), MARK, MARK_BYTES)) && data + MARK_BYTES + DIGITS <= end) {
        uint64_t number = 0;
        data += MARK_BYTES;
        for (int digit = 0; digit < DIGITS; digit++)
            number = number * 10 + (uint64_t)(data[digit] - '0');
        data += DIGITS;
        number -= reader->base; /* an earlier window's becomes huge */
        if (number >= reader->total || !one->seen)
            continue;
        if (one->seen[number]) {
            reader->doubled++;
            continue;
        }
        one->seen[number] = 1;
        reader->delivered++;
        reader->last_read = at;
        if (reader->sent) {
            double steps = (at - reader->sent[number]) * 1e4;
            reader->histogram[steps < 0 ? 0 : steps < STEPS ? (size_t)steps : STEPS - 1]++;
        }
    }
}

static void read_one(struct reader *reader, struct subscriber *one, int fd) {
    memcpy(reader->buffer, one->rest, one->held);
    ssize_t got = recv(fd, reader->buffer + one->held, READ_BYTES, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            one->open = 0;
            reader->closed++;
        }
        return;
    }
    double at = now();
    size_t size = one->held + (size_t)got, end = size;
    reader->reads++;
    while (end >= 2 && !(reader->buffer[end - 1] == '\n' && reader->buffer[end - 2] == '\n'))
        end--;
    if (end < 2)
        end = 0;
    if (size - end > REST_BYTES) {
        reader->overlong++;
        end = size;
    }
    one->held = (uint32_t)(size - end);
    memcpy(one->rest, reader->buffer + end, one->held);
    count(reader, one, reader->buffer, unchunk(reader->buffer, end), at);
}

/*
 * Read what is there until the deadline or until something else is ready; which, goes to `others`. A reader that spins
 * never sleeps: a hub whose readers are on other machines does not pay for waking them either.
 */
int reader_poll(struct reader *reader, int epoll, double deadline, int spin, int *others) {
    struct epoll_event ready[READY];
    int found = 0;
    double at = now();
    do {
        double left = deadline - at, begun;
        int number = epoll_wait(epoll, ready, READY, left > 0 && !spin ? (int)(left * 1000) + 1 : 0);
        begun = at = now();
        if (number < 0)
            break;
        for (int index = 0; index < number; index++) {
            int fd = ready[index].data.fd;
            struct subscriber *one = fd < reader->limit ? &reader->subscribers[fd] : NULL;
            if (!one || !one->open)
                others[found++] = fd;
            else {
                read_one(reader, one, fd);
                if (!one->open)
                    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
            }
        }
        if (number) {
            at = now();
            reader->busy += at - begun;
        }
    } while (!found && at < deadline);
    return found;
}
