/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/config.h"
#include "io/config_check.h"
#include "io/config_errors.h"
#include "io/config_print.h"

/* Complaints begin with file and line, as editors know them: nothing comes before. */
static int read_or_complain(const struct config_source *source, struct config *ret)
{
	char *error;
	int r = config_read(source, ret, &error);
	if (r < 0)
		fprintf(stderr, "%s\n", error ? error : strerror(-r));
	free(error);
	return r;
}

static void print_verdict(const struct config *config, const struct config_source *source)
{
	char *directory = config_directory(source);
	for (char **file = config->files; *file; file++)
		printf("%s%s", file == config->files ? "" : ", ", *file);
	if (!config->files[0])
		printf("no configuration in %s", directory ? directory : "any place");
	printf(": ok, %zu pool%s\n", config->pool_count, config->pool_count == 1 ? "" : "s");
	free(directory);
}

/* What could not be printed was not said. */
static int finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	perror("procpoold");
	return EXIT_FAILURE;
}

int inspect_check(const struct config_source *source)
{
	struct config_errors warnings = {.label = "warning: "};
	struct config config;
	if (read_or_complain(source, &config) < 0)
		return EXIT_FAILURE;
	config_check(&config, source, &warnings);
	if (warnings.text)
		fprintf(stderr, "%s\n", warnings.text);
	config_errors_fini(&warnings);
	print_verdict(&config, source);
	config_fini(&config);
	return finish();
}

int inspect_print(const struct config_source *source)
{
	struct config config;
	if (read_or_complain(source, &config) < 0)
		return EXIT_FAILURE;
	config_print(&config, stdout);
	config_fini(&config);
	return finish();
}
