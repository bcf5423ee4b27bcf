/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void *run(void *data)
{
	struct fake *fake = data;
	fake->script(fake);
	return NULL;
}

struct fake *fake_start(fake_script_fn script, void *data)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	FAKE_CHECK(fake);
	fake->fd = -1;
	fake->script = script;
	fake->data = data;
	strcpy(fake->dir, "/tmp/procpool-test-XXXXXX");
	FAKE_CHECK(mkdtemp(fake->dir));
	snprintf(fake->path, sizeof(fake->path), "%s/sock", fake->dir);
	strcpy(address.sun_path, fake->path);
	fake->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FAKE_CHECK(fake->listen_fd >= 0);
	FAKE_CHECK(bind(fake->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	FAKE_CHECK(listen(fake->listen_fd, 1) == 0);
	if (script) {
		FAKE_CHECK(pthread_create(&fake->thread, NULL, run, fake) == 0);
		fake->running = true;
	}
	return fake;
}

void fake_stop(struct fake *fake)
{
	if (fake->running)
		pthread_join(fake->thread, NULL);
	fake_hang_up(fake);
	if (fake->listen_fd >= 0)
		close(fake->listen_fd);
	unlink(fake->path);
	rmdir(fake->dir);
	free(fake->in);
	free(fake);
}

struct procpool *fake_connect(struct fake *fake)
{
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp = NULL;
	options.path = fake->path;
	if (procpool_connect(&options, &pp, &out) != PROCPOOL_OK)
		fprintf(stderr, "connect: %s\n", out.message);
	FAKE_CHECK(pp);
	procpool_outcome_fini(&out);
	return pp;
}

void fake_hang_up(struct fake *fake)
{
	if (fake->fd >= 0)
		close(fake->fd);
	fake->fd = -1;
	fake->in_size = fake->in_taken = 0;
}

void fake_accept(struct fake *fake)
{
	fake_hang_up(fake);
	fake->fd = accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	FAKE_CHECK(fake->fd >= 0);
}

void fake_accept_hello(struct fake *fake)
{
	fake_accept(fake);
	fake_answer_hello(fake);
}

void fake_answer_hello(struct fake *fake)
{
	struct fake_request hello = fake_expect(fake, "hello");
	fake_answer(fake, hello.msgid, NO_VALUE,
		    V("\205\246server\251procpoold\247version\2451.2."
		      "3\250protocol\001\247session\007\246limits\201\255message_"
		      "bytes\316\006\000\000\000"));
}

/* Drops the request read last and makes the next whole. */
bool fake_read(struct fake *fake, struct fake_request *ret)
{
	struct procpool_value message, v;
	fake->in_size -= fake->in_taken;
	if (fake->in_size > 0)
		memmove(fake->in, fake->in + fake->in_taken, fake->in_size);
	fake->in_taken = 0;
	while (fake->in_size == 0 || !procpool_value_parse(fake->in, fake->in_size, &message)) {
		if (fake->in_capacity - fake->in_size < 65536) {
			fake->in_capacity = fake->in_capacity * 2 + 65536;
			fake->in = realloc(fake->in, fake->in_capacity);
			FAKE_CHECK(fake->in);
		}
		ssize_t n =
			read(fake->fd, fake->in + fake->in_size, fake->in_capacity - fake->in_size);
		FAKE_CHECK(n >= 0 || errno == ECONNRESET);
		if (n <= 0)
			return false;
		fake->in_size += (size_t)n;
	}
	fake->in_taken = message.size;
	struct procpool_iter it = procpool_iter(message);
	FAKE_CHECK(procpool_value_count(message) == 4);
	FAKE_CHECK(procpool_iter_next(&it, &v) && v.size == 1 && v.data[0] == 0);
	FAKE_CHECK(procpool_iter_next(&it, &v) && procpool_value_uint(v, &ret->msgid));
	FAKE_CHECK(procpool_iter_next_pair(&it, &ret->method, &ret->params));
	FAKE_CHECK(procpool_value_type(ret->params) == PROCPOOL_ARRAY);
	return true;
}

struct fake_request fake_expect(struct fake *fake, const char *method)
{
	struct fake_request request;
	FAKE_CHECK(fake_read(fake, &request));
	if (!procpool_value_is(request.method, method))
		fprintf(stderr, "expected the method %s\n", method);
	FAKE_CHECK(procpool_value_is(request.method, method));
	return request;
}

void fake_send(struct fake *fake, const void *data, size_t size)
{
	const char *p = data;
	while (size > 0) {
		ssize_t n = send(fake->fd, p, size, MSG_NOSIGNAL);
		if (n < 0)
			return; /* the client has closed, which a test sees there */
		p += n;
		size -= (size_t)n;
	}
}

void fake_answer(struct fake *fake, uint64_t msgid, struct procpool_value error,
		 struct procpool_value value)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, 4);
	procpool_write_uint(&w, 1);
	procpool_write_uint(&w, msgid);
	if (error.size > 0)
		procpool_write_value(&w, error);
	else
		procpool_write_nil(&w);
	if (value.size > 0)
		procpool_write_value(&w, value);
	else
		procpool_write_nil(&w);
	fake_send(fake, w.data, w.size);
	procpool_writer_fini(&w);
}

void fake_answer_int(struct fake *fake, uint64_t msgid, int64_t value)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_int(&w, value);
	fake_answer(fake, msgid, NO_VALUE, procpool_writer_value(&w));
	procpool_writer_fini(&w);
}

void fake_until_closed(struct fake *fake)
{
	char buffer[65536];
	while (read(fake->fd, buffer, sizeof(buffer)) > 0)
		;
}

void fake_serve_pings(struct fake *fake)
{
	struct fake_request request;
	fake_accept_hello(fake);
	while (fake_read(fake, &request))
		fake_answer_int(fake, request.msgid, 1);
}

void note_end(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	struct end *end = data;
	(void)pp;
	end->count++;
	end->code = outcome->code;
}
