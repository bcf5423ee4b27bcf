/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"

#define FILE_STEP (1U << 20)

void output_init(struct output *output, int fd)
{
	struct stat st;
	bool file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	*output = (struct output){.fd = fd, .step = file ? FILE_STEP : PIPE_BUF};
}

void output_fini(struct output *output)
{
	text_fini(&output->pending);
}

size_t output_size(const struct output *output)
{
	return output->pending.size - output->written;
}

enum output_status output_write(struct output *output)
{
	size_t size = output_size(output);
	if (size == 0)
		return OUTPUT_OK;
	ssize_t n = write(output->fd, output->pending.data + output->written,
			  size < output->step ? size : output->step);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return OUTPUT_OK;
	if (n < 0) {
		output->error = errno;
		return errno == EPIPE ? OUTPUT_CLOSED : OUTPUT_ERROR;
	}
	output->written += (size_t)n;
	if (output->written == output->pending.size) {
		text_reset(&output->pending);
		output->written = 0;
	} else if (output->written >= FILE_STEP) {
		text_drop(&output->pending, output->written);
		output->written = 0;
	}
	return OUTPUT_OK;
}

enum output_status output_drain(struct output *output)
{
	enum output_status status = OUTPUT_OK;
	while (status == OUTPUT_OK && output_size(output) > 0 && !interrupt_signal())
		status = output_write(output);
	return status;
}
