/* SPDX-License-Identifier: MIT */
/*
 * ppctl: from the command line to one command, from its result to the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "command.h"
#include "help.h"
#include "session.h"
#include "text.h"

static const char values_help[] =
	"An ARG is JSON where it parses as JSON (41, true, '\"41\"', '[1, 2]'), else a string; "
	"with -s\n"
	"always a string. Options come before FUNC, what follows it is all arguments, also -5.\n"
	"Results print as JSON. What JSON lacks is written, and read, as an object with one key:\n"
	"  bytes {\"$bytes\": BASE64}, a string that is not UTF-8 {\"$string\": BASE64},\n"
	"  {\"$float\": \"nan\"}, \"inf\" or \"-inf\", ext {\"$ext\": [TYPE, BASE64]},\n"
	"  a map with other keys than strings {\"$map\": [[KEY, VALUE], ...]}.\n";

static const char map_help[] =
	"Without ITEM reads standard input, one string a line, and prints one result a line, in\n"
	"the order of the items and as soon as it can. An item that fails is reported on stderr\n"
	"with its number, from 1, and prints nothing; the rest goes on, and the exit status is 1.\n"
	"A string that is not UTF-8 is sent as bytes. An ITEM is as an ARG of 'ppctl apply': JSON\n"
	"where it parses as JSON, else a string. Options come before FUNC.\n"
	"\n"
	"A parallel sha256sum: find . -type f | ppctl map -r digest.sha256\n";

static const char watch_help[] =
	"Prints a line for each event: jobs that begin and end, workers that come and go, pools\n"
	"that change, as far as you may see them. With JOB ends when the job has. With --json "
	"each\n"
	"line is an object, whose \"push\" is \"result\" or \"event\".\n";

static const char wait_help[] =
	"Prints the value as 'ppctl apply' does, or reports the error. A result can be\n"
	"fetched for a limited time after the job's end (300 s by default).\n";

static const char cancel_help[] =
	"What has not begun never will; what runs is stopped, and killed with its worker if it\n"
	"does not stop. Exit status 4 where the job has ended already.\n";

#define FOR_ADMINISTRATORS "For who has the right to administer the pool; root has it everywhere.\n"

static const char recycle_help[] =
	"Starts workers with fresh code; each that is ready takes the place of an old one, which\n"
	"finishes what it runs. Prints the new code's generation when all are ready. Where the "
	"new\n"
	"code fails, the old one goes on serving, the error says why, and the exit status is "
	"4.\n" FOR_ADMINISTRATORS;

static const char reload_help[] =
	"Prints what has changed when all of it is in force. Pools change where their settings\n"
	"do, without an interruption; those that are not configured any more finish what they\n"
	"have. A configuration that is wrong is refused, says where, and changes nothing; a pool\n"
	"whose new code does not load goes on with the old. The exit status is not 0 then.\n"
	"For who has the right to administer the daemon.\n";

static const char scale_help[] = "From now on the pool has N workers, or MIN to MAX by how much "
				 "there is to do: workers are\n"
				 "started, or end when they have finished what they run. Lasts "
				 "until the daemon ends.\n" FOR_ADMINISTRATORS;

static const char pause_help[] =
	"Jobs are accepted and wait until 'ppctl resume'; what runs goes on.\n" FOR_ADMINISTRATORS;

static const char resume_help[] =
	"What waits is begun, and jobs are accepted again.\n" FOR_ADMINISTRATORS;

static const char drain_help[] =
	"From now on the pool refuses jobs, until 'ppctl resume'. Waits until it has nothing more\n"
	"to do. With --timeout waits no longer, and the exit status is 4; the pool goes on to\n"
	"empty itself.\n" FOR_ADMINISTRATORS;

static const char kill_help[] =
	"Ends a worker at once, as 'ppctl workers' lists them; it is replaced. What runs in it\n"
	"fails, what waits behind that runs elsewhere.\n" FOR_ADMINISTRATORS;

static const char doctor_help[] =
	"Tells which socket is used and why, what you may do there, the versions on both sides,\n"
	"which limits are not as by default, and how the pools are. What is wrong comes with what\n"
	"to do next, and makes the exit status 1. Waits for nothing longer than some seconds.\n";

/* clang-format off */
static const struct command commands[] = {
	{"apply", "FUNC [ARG...]", "Call a function and print its result", values_help, "pkReyPsr", true, false, 1, -1, command_apply},
	{"async", "FUNC [ARG...]", "Submit a job, detached, and print its id", values_help, "pkReyPs", true, false, 1, -1, command_async},
	{"map", "FUNC [ITEM...]", "Call a function for each item, in parallel", map_help, "pkReyPsrj0aHnw", true, false, 1, -1, command_map},
	{"wait", "JOB", "Wait for a job and print its result", wait_help, "r", false, false, 1, 1, command_wait},
	{"result", "JOB", "Print the result of a job that has ended", wait_help, "r", false, false, 1, 1, command_result},
	{"cancel", "JOB", "Cancel a job", cancel_help, "", false, false, 1, 1, command_cancel},
	{"watch", "[JOB]", "Print events as they happen", watch_help, "pr", false, false, 0, 1, command_watch},
	{"jobs", "", "List jobs", NULL, "pT", false, false, 0, 0, command_jobs},
	{"job", "JOB", "Show one job", NULL, "", false, false, 1, 1, command_job},
	{"pools", "", "List pools", NULL, "", false, false, 0, 0, command_pools},
	{"workers", "", "List worker processes", NULL, "p", false, false, 0, 0, command_workers},
	{"functions", "", "List the functions that can be called", NULL, "p", false, false, 0, 0, command_functions},
	{"stats", "", "Show counters and times", NULL, "", false, false, 0, 0, command_stats},
	{"recycle", "POOL", "Load a pool's code anew while it serves", recycle_help, "", false, false, 1, 1, command_recycle},
	{"reload", "", "Let the daemon read its configuration again", reload_help, "", false, false, 0, 0, command_reload},
	{"scale", "POOL N|MIN-MAX", "Change how many workers a pool has", scale_help, "", false, false, 2, 2, command_scale},
	{"pause", "POOL", "Let a pool begin nothing more", pause_help, "", false, false, 1, 1, command_pause},
	{"resume", "POOL", "Undo pause and drain", resume_help, "", false, false, 1, 1, command_resume},
	{"drain", "POOL", "Let a pool take no more jobs, and wait until it is empty", drain_help, "", false, false, 1, 1, command_drain},
	{"kill", "PID", "Kill a worker", kill_help, "", false, false, 1, 1, command_kill},
	{"doctor", "", "Tell what is wrong, and what to do about it", doctor_help, "", false, true, 0, 0, command_doctor},
	{"ping", "", "Check that the daemon answers", NULL, "", false, false, 0, 0, command_ping},
};
/* clang-format on */

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Prints and frees a text. */
static enum exit_status print(struct text *text, FILE *stream, enum exit_status status)
{
	fwrite(text->data, 1, text->size, stream);
	text_fini(text);
	if (fflush(stream) == 0)
		return status;
	return error_print(STATUS_REFUSED, false, "system", "cannot write the output: %s",
			   strerror(errno));
}

static enum exit_status unknown_command(const char *name)
{
	struct text out = {0};
	text_addf(&out, "ppctl: there is no command '%s'\n", name);
	help_similar(&out, commands, COMMAND_COUNT, name);
	text_add_string(&out, "  'ppctl help' lists them\n");
	return print(&out, stderr, STATUS_USAGE);
}

static enum exit_status show_help(const char *name)
{
	struct text out = {0};
	const struct command *command = name ? find_command(name) : NULL;
	if (name && !command && strcmp(name, "help") != 0)
		return unknown_command(name);
	if (command)
		help_command(&out, command);
	else
		help_all(&out, commands, COMMAND_COUNT);
	return print(&out, stdout, STATUS_OK);
}

static enum exit_status wrong_usage(const struct command *command, struct text *why, bool json)
{
	const char *sentence = text_cstring(why);
	if (json)
		return error_print(STATUS_USAGE, json, "usage", "%s", sentence);
	if (!command)
		return error_print(STATUS_USAGE, json, "usage",
				   "%s\n  'ppctl --help' shows how it is used", sentence);
	return error_print(
		STATUS_USAGE, json, "usage",
		"%s: %s\n  usage: ppctl %s [OPTION...] %s\n  'ppctl %s --help' tells more",
		command->name, sentence, command->name, command->usage, command->name);
}

static bool check_operands(const struct command *command, const struct arguments *args,
			   struct text *why)
{
	if (args->operand_count < command->operands_min)
		text_addf(why, "%.*s is missing", (int)strcspn(command->usage, " "),
			  command->usage);
	else if (command->operands_max >= 0 && args->operand_count > command->operands_max)
		text_addf(why, "'%s' is too much", args->operands[command->operands_max]);
	return why->size == 0;
}

/* What one option says of another, or of the command. */
static bool check_options(const struct command *command, const struct arguments *args,
			  struct text *why)
{
	if (args->module_count > 0 && !args->is_private)
		text_add_string(why,
				"--module is what a daemon of --private serves: say that, too");
	else if (args->is_private && args->socket)
		text_add_string(why, "--private starts a daemon of its own: leave --socket out");
	else if (args->is_private && command->run == command_async)
		text_add_string(why, "the job would end with this program and its private daemon: "
				     "use 'ppctl apply'");
	else if (args->is_private && command->run == command_doctor)
		text_add_string(why,
				"it looks at the daemon that others use, too: leave --private out");
	return why->size == 0;
}

static enum exit_status run_session(const struct command *command, const struct arguments *args)
{
	struct session session;
	session_init(&session, args);
	enum exit_status status = command->unconnected ? STATUS_OK : session_connect(&session);
	if (status == STATUS_OK)
		status = session_finish(&session, command->run(&session));
	session_fini(&session);
	return status;
}

/* argv[0] is the command's name. */
static enum exit_status run_command(struct arguments *args, int argc, char **argv)
{
	const struct command *command = find_command(argv[0]);
	if (!command)
		return unknown_command(argv[0]);
	struct text accepted = {0}, why = {0};
	text_addf(&accepted, "%s%s", command->options, OPTIONS_COMMON);
	enum exit_status status;
	if (arguments_parse(args, text_cstring(&accepted), command->leading, argc, argv, &why) !=
	    ARGUMENTS_OK)
		status = wrong_usage(command, &why, args->json);
	else if (args->help)
		status = show_help(command->name);
	else if (!check_operands(command, args, &why) || !check_options(command, args, &why))
		status = wrong_usage(command, &why, args->json);
	else
		status = run_session(command, args);
	text_fini(&accepted);
	text_fini(&why);
	return status;
}

static enum exit_status run(struct arguments *args, int argc, char **argv)
{
	struct text why = {0};
	if (arguments_parse(args, OPTIONS_COMMON "V", true, argc, argv, &why) != ARGUMENTS_OK) {
		enum exit_status status = wrong_usage(NULL, &why, args->json);
		text_fini(&why);
		return status;
	}
	int count = args->operand_count;
	char **operands = args->operands;
	if (args->version) {
		text_addf(&why, "ppctl %s\n", PPCTL_VERSION);
		return print(&why, stdout, STATUS_OK);
	}
	if (count > 0 && strcmp(operands[0], "help") == 0)
		return show_help(count > 1 ? operands[1] : NULL);
	if (args->help)
		return show_help(count > 0 ? operands[0] : NULL);
	if (count == 0) {
		help_all(&why, commands, COMMAND_COUNT);
		return print(&why, stderr, STATUS_USAGE);
	}
	return run_command(args, count, operands);
}

/* Nothing that is opened later may become a standard stream; what is written there must fail. */
static void keep_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			exit(STATUS_REFUSED);
}

int main(int argc, char **argv)
{
	keep_standard_streams();
	setlocale(LC_CTYPE, ""); /* for the width of characters; numbers stay C's */
	struct arguments args;
	arguments_init(&args);
	enum exit_status status = run(&args, argc, argv);
	arguments_fini(&args);
	return status;
}
