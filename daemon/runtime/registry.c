/* SPDX-License-Identifier: MIT */
#include "runtime/registry.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYMBOL "procpool_module"

void registry_init(struct registry *registry)
{
	memset(registry, 0, sizeof(*registry));
}

void registry_fini(struct registry *registry)
{
	for (size_t i = 0; i < registry->module_count; i++) {
		free(registry->modules[i]->path);
		free(registry->modules[i]);
	}
	for (size_t i = 0; i < registry->function_count; i++)
		free(registry->functions[i].name);
	free(registry->modules);
	free(registry->functions);
	free(registry->error);
	registry_init(registry);
}

__attribute__((format(printf, 2, 3))) static int refuse(struct registry *registry,
							const char *format, ...)
{
	va_list args;
	free(registry->error);
	va_start(args, format);
	if (vasprintf(&registry->error, format, args) < 0)
		registry->error = NULL;
	va_end(args);
	return -1;
}

static int refuse_memory(struct registry *registry)
{
	return refuse(registry, "out of memory while loading modules");
}

static int compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
	int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
	if (order != 0)
		return order;
	return (a_size > b_size) - (a_size < b_size);
}

/* Where a name is, or belongs, in the sorted functions. */
static size_t position_of(const struct registry *registry, const char *name, size_t size,
			  bool *ret_found)
{
	size_t low = 0, high = registry->function_count;
	*ret_found = false;
	while (low < high && !*ret_found) {
		size_t middle = low + (high - low) / 2;
		const struct function *f = &registry->functions[middle];
		int order = compare(name, size, f->name, f->name_size);
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
		if (order == 0) {
			low = middle;
			*ret_found = true;
		}
	}
	return low;
}

const struct function *registry_find(const struct registry *registry, const char *name, size_t size)
{
	bool found;
	size_t i = position_of(registry, name, size, &found);
	return found ? &registry->functions[i] : NULL;
}

static bool is_identifier(const char *name)
{
	if (!name || !(isalpha((unsigned char)name[0]) || name[0] == '_'))
		return false;
	size_t size = strnlen(name, REGISTRY_NAME_MAX + 1);
	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	return size <= REGISTRY_NAME_MAX;
}

static int add_function(struct registry *registry, const struct module *module,
			const struct procpool_function *exported)
{
	const char *prefix = module->exported->name;
	if (!is_identifier(exported->name) || !exported->fn)
		return refuse(registry, "module %s (%s) exports a function without %s", prefix,
			      module->path,
			      exported->fn ? "a proper name (a C identifier of at most 127 bytes)"
					   : "code");
	if (exported->doc && strlen(exported->doc) > REGISTRY_DOC_MAX)
		return refuse(registry,
			      "function %s.%s (%s) has a description of more than %u bytes", prefix,
			      exported->name, module->path, REGISTRY_DOC_MAX);
	if (registry->function_count == REGISTRY_FUNCTIONS_MAX)
		return refuse(registry, "there are more than %u functions", REGISTRY_FUNCTIONS_MAX);

	char *name;
	if (asprintf(&name, "%s.%s", prefix, exported->name) < 0)
		return refuse_memory(registry);
	bool found;
	size_t i = position_of(registry, name, strlen(name), &found);
	if (found) {
		free(name);
		return refuse(registry, "function %s is exported twice, by %s and by %s",
			      registry->functions[i].name, registry->functions[i].module->path,
			      module->path);
	}
	size_t count = registry->function_count;
	struct function *functions =
		reallocarray(registry->functions, count + 1, sizeof(*functions));
	if (!functions) {
		free(name);
		return refuse_memory(registry);
	}
	registry->functions = functions;
	memmove(&functions[i + 1], &functions[i], (count - i) * sizeof(*functions));
	functions[i] = (struct function){.name = name,
					 .name_size = strlen(name),
					 .doc = exported->doc ? exported->doc : "",
					 .fn = exported->fn,
					 .module = module};
	registry->function_count++;
	return 0;
}

/* Takes path over, also on failure. */
static int add_module(struct registry *registry, const struct procpool_module *exported, char *path,
		      struct file_state state)
{
	struct module **modules = reallocarray(registry->modules, registry->module_count + 1,
					       sizeof(struct module *));
	if (modules)
		registry->modules = modules;
	struct module *module = malloc(sizeof(*module));
	if (!modules || !module) {
		free(module);
		free(path);
		return refuse_memory(registry);
	}
	*module = (struct module){.exported = exported, .path = path, .state = state};
	registry->modules[registry->module_count++] = module;
	for (size_t i = 0; i < exported->function_count; i++)
		if (add_function(registry, module, &exported->functions[i]) < 0)
			return -1;
	return 0;
}

/* NAME.so in one directory of a colon-separated list; NULL: not there, or no memory. */
static char *find_in(const char *directories, const char *name)
{
	while (directories && *directories) {
		size_t size = strcspn(directories, ":");
		char *path = NULL;
		if (size > 0 && asprintf(&path, "%.*s/%s.so", (int)size, directories, name) < 0)
			return NULL;
		/* As the user that will open it, where that is not the one who started this. */
		if (path && faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0)
			return path;
		free(path);
		directories += size;
		directories += *directories == ':';
	}
	return NULL;
}

char *registry_find_file(struct registry *registry, const char *name)
{
	if (strchr(name, '/'))
		return strdup(name);
	const char *configured = getenv("PROCPOOL_MODULE_PATH");
	char *path = find_in(configured, name);
	if (!path)
		path = find_in(PROCPOOL_MODULE_DIR, name);
	if (!path)
		refuse(registry, "module %s: there is no %s.so in %s%s%s", name, name,
		       configured ? configured : "", configured && *configured ? ":" : "",
		       PROCPOOL_MODULE_DIR);
	return path;
}

/* What the shared object exports, if this runtime understands it. */
static const struct procpool_module *open_module(struct registry *registry, const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		const char *why = dlerror();
		refuse(registry, "cannot load a module: %s", why ? why : path);
		return NULL;
	}
	const struct procpool_module *exported = dlsym(handle, SYMBOL);
	if (!exported)
		refuse(registry, "%s is not a procpool module: it does not export " SYMBOL, path);
	else if (exported->abi != PROCPOOL_MODULE_ABI)
		refuse(registry,
		       "module %s was built for version %u of procpool's module ABI, this runtime "
		       "has version "
		       "%u: build it again with this procpool's headers",
		       path, exported->abi, PROCPOOL_MODULE_ABI);
	else if (!is_identifier(exported->name))
		refuse(registry,
		       "module %s has no proper name (a C identifier of at most %u bytes)", path,
		       REGISTRY_NAME_MAX);
	else
		return exported;
	dlclose(handle);
	return NULL;
}

int registry_load(struct registry *registry, const char *name)
{
	char *path = registry_find_file(registry, name);
	if (!path)
		return registry->error ? -1 : refuse_memory(registry);
	struct file_state state = file_state_of(path);
	const struct procpool_module *exported = open_module(registry, path);
	if (!exported) {
		free(path);
		return -1;
	}
	return add_module(registry, exported, path, state);
}

int registry_load_value(struct registry *registry, struct procpool_value name)
{
	const void *bytes;
	size_t size;
	if (!procpool_value_bytes(name, &bytes, &size) || size == 0 || memchr(bytes, '\0', size))
		return refuse(registry,
			      "a module's name must be a string, without NUL and not empty");
	char *text = strndup(bytes, size);
	if (!text)
		return refuse_memory(registry);
	int r = registry_load(registry, text);
	free(text);
	return r;
}
