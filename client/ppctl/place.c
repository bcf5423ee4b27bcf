/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "text.h"

#define SYSTEM_DIRECTORY "/run"
#define PATH_BELOW       "/procpool/procpoold.sock"

static void add(struct place *places, unsigned *count, enum place_source source,
		const char *directory, const char *below)
{
	char *path = NULL;
	if (asprintf(&path, "%s%s", directory, below) < 0)
		text_no_memory();
	places[(*count)++] = (struct place){.source = source, .path = path};
}

static const char *variable(const char *name)
{
	const char *value = secure_getenv(name);
	return value && *value ? value : NULL;
}

unsigned places_list(const char *socket, struct place ret[PLACES_MAX])
{
	const char *told = variable("PROCPOOL_SOCKET"), *runtime = variable("XDG_RUNTIME_DIR");
	unsigned count = 0;
	if (socket) {
		add(ret, &count, PLACE_OPTION, socket, "");
	} else if (told) {
		add(ret, &count, PLACE_VARIABLE, told, "");
	} else {
		if (runtime)
			add(ret, &count, PLACE_RUNTIME, runtime, PATH_BELOW);
		add(ret, &count, PLACE_SYSTEM, SYSTEM_DIRECTORY, PATH_BELOW);
	}
	return count;
}

void places_fini(struct place *places, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(places[i].path);
}

static void look_at_file(struct place *place)
{
	struct stat st;
	if (stat(place->path, &st) < 0)
		return;
	place->exists = true;
	place->mode = st.st_mode;
	place->owner = st.st_uid;
}

/* Who began to listen, as the kernel kept it. */
static void look_at_listener(struct place *place, int fd)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);
	char name[64];
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return;
	place->pid = cred.pid;
	place->uid = cred.uid;
	snprintf(name, sizeof(name), "/proc/%d/comm", (int)cred.pid);
	FILE *file = fopen(name, "re");
	if (!file)
		return;
	if (fgets(place->comm, sizeof(place->comm), file))
		place->comm[strcspn(place->comm, "\n")] = '\0';
	fclose(file);
}

static int connect_now(const char *path, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	strcpy(address.sun_path, path);
	*ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*ret_fd < 0)
		return errno;
	return connect(*ret_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
}

static enum place_state state_of(int error)
{
	switch (error) {
	case 0:
		return PLACE_TAKEN;
	case ENOENT:
	case ENOTDIR:
		return PLACE_MISSING;
	case ECONNREFUSED:
		return PLACE_STALE;
	case EAGAIN:
		return PLACE_FULL;
	default:
		return PLACE_REFUSED;
	}
}

static void look(struct place *place)
{
	int fd = -1;
	look_at_file(place);
	place->error = connect_now(place->path, &fd);
	place->state = state_of(place->error);
	if (place->state == PLACE_TAKEN)
		look_at_listener(place, fd);
	if (fd >= 0)
		close(fd);
}

struct place *places_look(struct place *places, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		look(&places[i]);
		if (places[i].state != PLACE_MISSING && places[i].state != PLACE_STALE)
			return &places[i];
	}
	return NULL;
}

const char *place_source_text(enum place_source source)
{
	static const char *const texts[] = {
		[PLACE_OPTION] = "--socket",
		[PLACE_VARIABLE] = "$PROCPOOL_SOCKET",
		[PLACE_RUNTIME] = "$XDG_RUNTIME_DIR",
		[PLACE_SYSTEM] = "the system's",
	};
	return texts[source];
}

void place_write(struct procpool_writer *w, const struct place *place)
{
	static const char *const states[] = {
		[PLACE_UNSEEN] = "not-looked-at",
		[PLACE_TAKEN] = "taken",
		[PLACE_MISSING] = "missing",
		[PLACE_STALE] = "stale",
		[PLACE_FULL] = "full",
		[PLACE_REFUSED] = "refused",
	};
	static const char *const sources[] = {
		[PLACE_OPTION] = "--socket",
		[PLACE_VARIABLE] = "PROCPOOL_SOCKET",
		[PLACE_RUNTIME] = "XDG_RUNTIME_DIR",
		[PLACE_SYSTEM] = "system",
	};
	bool taken = place->state == PLACE_TAKEN;
	procpool_write_map(w,
			   4 + (place->error ? 1 : 0) + (place->exists ? 2 : 0) + (taken ? 2 : 0));
	procpool_write_string(w, "path");
	procpool_write_string(w, place->path);
	procpool_write_string(w, "source");
	procpool_write_string(w, sources[place->source]);
	procpool_write_string(w, "state");
	procpool_write_string(w, states[place->state]);
	procpool_write_string(w, "exists");
	procpool_write_bool(w, place->exists);
	if (place->error) {
		procpool_write_string(w, "error");
		procpool_write_string(w, strerror(place->error));
	}
	if (place->exists) {
		char mode[8];
		snprintf(mode, sizeof(mode), "%04o", place->mode & 07777);
		procpool_write_string(w, "mode");
		procpool_write_string(w, mode);
		procpool_write_string(w, "owner");
		procpool_write_uint(w, place->owner);
	}
	if (taken) {
		procpool_write_string(w, "pid");
		procpool_write_int(w, place->pid);
		procpool_write_string(w, "uid");
		procpool_write_uint(w, place->uid);
	}
}
