/* SPDX-License-Identifier: MIT */
/* digest: checksums of files and bytes, computed by OpenSSL's libcrypto. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <procpool/module.h>

#define CHUNK_BYTES (128U << 10)

/* Both live as long as the worker. */
static EVP_MD_CTX *context;
static uint8_t *chunk;

static int initialize(struct procpool_call *call)
{
	context = EVP_MD_CTX_new();
	chunk = malloc(CHUNK_BYTES);
	return context && chunk ? 0 : procpool_fail_memory(call);
}

static void finalize(void)
{
	EVP_MD_CTX_free(context);
	free(chunk);
}

static int fail_digest(struct procpool_call *call)
{
	return procpool_fail(call, "DigestError", "libcrypto does not provide SHA-256");
}

/* Returns what was hashed as 64 lower-case hexadecimal digits. */
static int return_digest(struct procpool_call *call)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned size;
	if (!EVP_DigestFinal_ex(context, digest, &size))
		return fail_digest(call);
	for (unsigned i = 0; i < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return procpool_return_string(call, hex);
}

/* "cannot read PATH: why", and where a relative path was looked for. */
static int fail_file(struct procpool_call *call, const char *path, const char *why)
{
	char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);
	if (path[0] == '/')
		procpool_fail(call, "OSError", "cannot read %s: %s", path, why);
	else
		procpool_fail(call, "OSError",
			      "cannot read %s in the worker's working directory %s: %s", path,
			      directory ? directory : "(unknown)", why);
	free(directory);
	return -1;
}

/* Opens a regular file. Without O_NONBLOCK a FIFO would keep the worker waiting for a writer. */
static int open_regular(struct procpool_call *call, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fail_file(call, path, strerror(errno));
	const char *why = NULL;
	if (fstat(fd, &status) < 0)
		why = strerror(errno);
	else if (S_ISDIR(status.st_mode))
		why = strerror(EISDIR);
	else if (!S_ISREG(status.st_mode))
		why = "not a regular file";
	if (!why)
		return fd;
	close(fd);
	return fail_file(call, path, why);
}

static int sha256(struct procpool_call *call)
{
	const char *path;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_text(call, 0, &path))
		return -1;
	if (!EVP_DigestInit_ex(context, EVP_sha256(), NULL))
		return fail_digest(call);
	int fd = open_regular(call, path);
	if (fd < 0)
		return -1;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	ssize_t n;
	while ((n = read(fd, chunk, CHUNK_BYTES)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			EVP_DigestUpdate(context, chunk, (size_t)n);
	int error = errno;
	close(fd);
	return n < 0 ? fail_file(call, path, strerror(error)) : return_digest(call);
}

static int sha256_bytes(struct procpool_call *call)
{
	const void *bytes;
	size_t size;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_bytes(call, 0, &bytes, &size))
		return -1;
	if (!EVP_DigestInit_ex(context, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(context, bytes, size))
		return fail_digest(call);
	return return_digest(call);
}

static const struct procpool_function functions[] = {
	{"sha256", "sha256(path): the SHA-256 of a regular file, in hexadecimal", sha256},
	{"sha256_bytes", "sha256_bytes(b): the SHA-256 of bytes or of a string's UTF-8",
	 sha256_bytes},
};

PROCPOOL_MODULE("digest", "Checksums of files and bytes.", functions, initialize, finalize);
