/* SPDX-License-Identifier: MIT */
/*
 * The loaded modules and the functions that they export, by name. Built once, then only read. A
 * module stays loaded until the process ends.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "procpool/module.h"
#include "runtime/loaded_files.h"

#define REGISTRY_NAME_MAX      127U /* of a module, and of a function in it */
#define REGISTRY_DOC_MAX       1023U
#define REGISTRY_FUNCTIONS_MAX 65536U

struct function {
	char *name; /* "module.function" */
	size_t name_size;
	const char *doc;
	procpool_function_fn fn;
	const struct module *module;
};

struct module {
	const struct procpool_module *exported;
	char *path;
	struct file_state state; /* of its file, before it was loaded */
};

struct registry {
	struct module **modules; /* in the order of loading */
	size_t module_count;
	struct function *functions; /* sorted by name */
	size_t function_count;
	char *error; /* why the last registry_load() failed: one sentence for people */
};

void registry_init(struct registry *registry);
/* Frees the tables; the modules stay in memory. */
void registry_fini(struct registry *registry);

/*
 * Loads a module by name or path: one with a slash is a path, another is looked for as NAME.so in
 * $PROCPOOL_MODULE_PATH and then where procpool's modules are installed. -1: registry->error says
 * why.
 */
int registry_load(struct registry *registry, const char *name);

/* Where a module of that name is found, to be freed. NULL: registry->error says why. */
char *registry_find_file(struct registry *registry, const char *name);

/* As registry_load(), for a name as it came in a message. */
int registry_load_value(struct registry *registry, struct procpool_value name);

/* The function of that name, or NULL. */
const struct function *registry_find(const struct registry *registry, const char *name,
				     size_t size);
