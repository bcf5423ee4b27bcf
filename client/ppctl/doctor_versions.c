/* SPDX-License-Identifier: MIT */
/* The part of `ppctl doctor` on what is installed, and whether it belongs together. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "print.h"
#include "program.h"

#define PYTHON    "/usr/bin/python3"
#define PYTHON_MS 5000
#define PROTOCOL  1

/* The file that the library was loaded from, with symbolic links followed; "?" where unknown. */
static void add_library_path(struct text *out)
{
	Dl_info info;
	char *path = NULL;
	/* A data pointer of a function's, as dladdr() wants it. */
	union {
		const char *(*function)(void);
		void *address;
	} symbol = {procpool_version};
	if (dladdr(symbol.address, &info) && info.dli_fname)
		path = realpath(info.dli_fname, NULL);
	text_add_string(out, path ? path : "?");
	free(path);
}

static void report_library(struct doctor *doctor, const char *path)
{
	const char *variable = getenv("LD_LIBRARY_PATH");
	if (strcmp(procpool_version(), PPCTL_VERSION) == 0)
		report_line(&doctor->report, REPORT_OK, "ppctl and libprocpool %s (%s)",
			    PPCTL_VERSION, path);
	else
		report_problem(&doctor->report, "library-version",
			       variable && *variable
				       ? "unset LD_LIBRARY_PATH, or install both from one version"
				       : "install both from one version, and run ldconfig",
			       "ppctl is %s, but the libprocpool that it loads is %s (%s)",
			       PPCTL_VERSION, procpool_version(), path);
}

/* procpoold's, from its answer to hello; into `version`, "" where it has not answered. */
static void report_daemon(struct doctor *doctor, struct text *version)
{
	const char *name;
	size_t size;
	if (!doctor->connected)
		return;
	struct procpool_value hello = procpool_hello(doctor->session->pp);
	if (procpool_value_string(procpool_value_get(hello, "version"), &name, &size))
		print_name(version, name, size);
	const char *text = text_cstring(version);
	if (strcmp(text, PPCTL_VERSION) == 0)
		report_line(&doctor->report, REPORT_OK, "procpoold %s, protocol %d", text,
			    PROTOCOL);
	else
		report_problem(&doctor->report, "daemon-version",
			       "where another version was installed since the daemon started, "
			       "restart it (systemctl restart procpoold)",
			       "procpoold is %s, ppctl %s", text, PPCTL_VERSION);
}

/* The Python package's version; "" where there is no Python, or no package. */
static void report_python(struct doctor *doctor, struct text *version)
{
	/* Not what lies in the directory where ppctl happens to be started. */
	char *argv[] = {PYTHON, "-c",
			"import sys; sys.path[:] = filter(None, sys.path); import procpool; "
			"sys.stdout.write(procpool.__version__)",
			NULL};
	struct text out = {0};
	if (access(PYTHON, X_OK) < 0)
		return;
	enum program_status status = program_run(argv, PYTHON_MS, &out);
	if (status == PROGRAM_DONE && out.size > 0) {
		print_name(version, out.data, out.size);
		const char *text = text_cstring(version);
		if (strcmp(text, PPCTL_VERSION) == 0)
			report_line(&doctor->report, REPORT_OK,
				    "the Python package %s, for " PYTHON, text);
		else
			report_problem(&doctor->report, "python-version",
				       "install both from one version",
				       "the Python package for " PYTHON " is %s, ppctl %s", text,
				       PPCTL_VERSION);
	} else if (status == PROGRAM_LATE) {
		report_problem(&doctor->report, "python-hung", "see what its start-up does",
			       PYTHON " did not import procpool within %d s", PYTHON_MS / 1000);
	} else {
		report_line(&doctor->report, REPORT_NOTE,
			    "no Python package for " PYTHON ": to call from Python, or to serve "
			    "Python with it, install the package procpool");
	}
	text_fini(&out);
}

/* "" is nil. */
static void write_text(struct procpool_writer *w, const char *key, struct text *text)
{
	procpool_write_string(w, key);
	if (text->size > 0)
		procpool_write_string_n(w, text->data, text->size);
	else
		procpool_write_nil(w);
}

void doctor_versions(struct doctor *doctor)
{
	struct procpool_writer *w = &doctor->facts;
	struct text path = {0}, daemon = {0}, python = {0};
	report_section(&doctor->report, "Versions");
	add_library_path(&path);
	report_library(doctor, text_cstring(&path));
	report_daemon(doctor, &daemon);
	report_python(doctor, &python);

	procpool_write_string(w, "versions");
	procpool_write_map(w, 6);
	procpool_write_string(w, "ppctl");
	procpool_write_string(w, PPCTL_VERSION);
	procpool_write_string(w, "library");
	procpool_write_string(w, procpool_version());
	write_text(w, "library_path", &path);
	write_text(w, "daemon", &daemon);
	write_text(w, "python", &python);
	procpool_write_string(w, "protocol");
	if (doctor->connected)
		procpool_write_uint(w, PROTOCOL);
	else
		procpool_write_nil(w);
	text_fini(&path);
	text_fini(&daemon);
	text_fini(&python);
}
