/* SPDX-License-Identifier: MIT */
/*
 * procpool-launcher COMMAND [ARGUMENT]...
 *
 * Splits the rights that a system service needs from the daemon that uses them. It becomes two
 * processes. The one that was started executes COMMAND, the daemon, as the user procpool and with
 * no capability left. The other, its child, stays here with the right to change users and to send
 * signals, and does two things for the daemon, which asks for them through a pair of sockets
 * (launcher.h): it starts a process as the user of a pool, and sends a signal to one of these.
 *
 * It believes the daemon nothing, because the daemon talks to everybody:
 *  - a message of another size, with other descriptors or an impossible content ends it, and with
 *    it the daemon;
 *  - what it starts runs as a member of the group procpool-worker, never as root or the daemon's
 *    user, nor in the group of either, with no capability and no way to any: whoever takes over
 *    the daemon becomes no one whom the administrator has not put into that group;
 *  - what it executes is procpool-exec, which lies beside it, and not before all rights are gone.
 *    What the process will be is read there (launched.c), as that user;
 *  - a signal goes to a child that was not waited for, so its number is nobody else's.
 * Nothing is allocated here. All that is inherited was the starter's: root or the service manager.
 *
 * When the daemon has ended, all children are killed, and it ends. When it ends, whatever ends it,
 * the kernel kills them.
 */
#include "launcher.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "procpool-exec"

#define GROUPS_MAX   1024
#define VARIABLE_MAX 4096 /* bytes */

#define BIT(n)     (UINT64_C(1) << (n))
#define NO_RIGHTS  UINT64_C(0)
#define OWN_RIGHTS (BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL))

/* The descriptors of the process that stays: here and nowhere else. A request's are above. */
enum {
	DAEMON_FD = 3,   /* the socket */
	CHILDREN_FD = 4, /* a signalfd of SIGCHLD */
	LIFE_FD = 5,     /* a pidfd of the daemon */
	PROGRAM_FD = 6,  /* to be executed */
};
_Static_assert((int)PROGRAM_FD > (int)LAUNCH_PLACE(LAUNCH_SPEC), "it must survive their placing");

/* Who a process will be. */
struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	int group_count;
	char home[VARIABLE_MAX], shell[VARIABLE_MAX];
	char user[LAUNCH_NAME_BYTES + 8], logname[LAUNCH_NAME_BYTES + 8];
};

struct child {
	pid_t pid;
	uint64_t id;
};

static struct child children[LAUNCH_CHILDREN_MAX];
static unsigned child_count;

static void complain(const char *what, const char *why)
{
	dprintf(STDERR_FILENO, "procpool-launcher: %s: %s\n", what, why);
}

/* ---- rights ---- */

/* Exactly these capabilities, in no set but the effective and permitted one. 0 or a negative errno.
 */
static int keep_rights(uint64_t rights)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(rights >> (32 * i));
		data[i] = (struct __user_cap_data_struct){.effective = half, .permitted = half};
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return 0;
}

/* What is executed from here on can get no capability, by whatever means. */
static int forbid_rights(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	for (int n = 0; prctl(PR_CAPBSET_READ, n, 0, 0, 0) >= 0; n++)
		if (prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

static int change_user(uid_t uid, gid_t gid, const gid_t *groups, int group_count)
{
	uid_t u[3];
	gid_t g[3];
	/* Users last: with root's number goes the right to change the others. */
	if (setgroups((size_t)group_count, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	/* -1, which leaves a number as it is, would have succeeded. */
	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (u[i] != uid || g[i] != gid)
			return -EPERM;
	return 0;
}

/* Keys that this process was given are not its successor's. False: they stay, because the system
 * has none, or the user may have no more keyrings. It is no reason to do without the process. */
static bool leave_keys(void)
{
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0;
}

/* ---- the process that is started ---- */

static void reset_signals(void)
{
	sigset_t none;
	for (int n = 1; n < _NSIG; n++)
		signal(n, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int place_descriptors(const int *fds)
{
	for (int i = 0; i < LAUNCH_FD_COUNT; i++)
		if (dup2(fds[i], LAUNCH_PLACE(i)) < 0)
			return -errno;
	return close_range(PROGRAM_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* Gives up all that it has of this process. */
static int become_user(const struct identity *identity, pid_t launcher)
{
	int r = change_user(identity->uid, identity->gid, identity->groups, identity->group_count);
	if (r < 0)
		return r;
	/* Until it executes, others of this user are not to look into it. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	leave_keys();
	r = keep_rights(NO_RIGHTS);
	if (r < 0)
		return r;
	/* Not before: a change of users takes it back. The launcher may have ended before it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return getppid() == launcher ? 0 : -ESRCH;
}

__attribute__((noreturn)) static void become(struct identity *identity, const int *fds,
					     pid_t launcher)
{
	char *const argv[] = {PROGRAM, NULL};
	char *const environment[] = {identity->home, identity->user, identity->logname,
				     identity->shell, NULL};
	struct child_failure failure = {.step = CHILD_PREPARE};
	failure.error = place_descriptors(fds);
	bool placed = failure.error == 0;
	if (placed && setsid() < 0)
		failure.error = -errno;
	if (failure.error == 0) {
		failure.step = CHILD_USER;
		failure.error = become_user(identity, launcher);
	}
	if (failure.error == 0) {
		reset_signals();
		failure.step = CHILD_EXEC;
		syscall(SYS_execveat, PROGRAM_FD, "", argv, environment, AT_EMPTY_PATH);
		failure.error = -errno;
	}
	/* Nothing is written with rights to what the daemon has chosen. */
	if (placed && keep_rights(NO_RIGHTS) == 0)
		(void)!write(LAUNCH_PLACE(LAUNCH_STATUS), &failure, sizeof(failure));
	_exit(127);
}

/* ---- who it may be ---- */

/* Nothing that a directory service could take for anything but a name. */
static bool is_name(const char *name)
{
	if (name[0] == '\0' || name[0] == '-')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-@$\\", *name))
			return false;
	return true;
}

static bool is_member(const struct identity *identity, gid_t gid)
{
	for (int i = 0; i < identity->group_count; i++)
		if (identity->groups[i] == gid)
			return true;
	return false;
}

/* Whether the string is short enough. */
static bool print(char *text, size_t size, const char *name, const char *value)
{
	int n = snprintf(text, size, "%s=%s", name, value);
	return n >= 0 && (size_t)n < size;
}

/* The numbers and variables of a user. 0 or a refusal. */
static int look_up_user(const char *name, struct identity *identity, int *ret_error)
{
	errno = 0;
	const struct passwd *user = is_name(name) ? getpwnam(name) : NULL;
	*ret_error = user ? 0 : errno;
	if (!user)
		return errno == 0 || errno == ENOENT || errno == ESRCH ? LAUNCH_UNKNOWN_USER
								       : LAUNCH_LOOKUP_FAILED;
	identity->uid = user->pw_uid;
	identity->gid = user->pw_gid;
	if (!print(identity->user, sizeof(identity->user), "USER", user->pw_name) ||
	    !print(identity->logname, sizeof(identity->logname), "LOGNAME", user->pw_name) ||
	    !print(identity->home, sizeof(identity->home), "HOME", user->pw_dir) ||
	    !print(identity->shell, sizeof(identity->shell), "SHELL", user->pw_shell)) {
		*ret_error = ENAMETOOLONG;
		return LAUNCH_LOOKUP_FAILED;
	}
	identity->group_count = GROUPS_MAX;
	if (getgrouplist(name, identity->gid, identity->groups, &identity->group_count) < 0) {
		*ret_error = E2BIG;
		return LAUNCH_LOOKUP_FAILED;
	}
	return 0;
}

/* The number of a group. 0 or a refusal. */
static int look_up_group(const char *name, gid_t *ret, int *ret_error)
{
	errno = 0;
	const struct group *group = is_name(name) ? getgrnam(name) : NULL;
	*ret_error = group ? 0 : errno;
	if (group)
		*ret = group->gr_gid;
	else if (errno != 0 && errno != ENOENT && errno != ESRCH)
		return LAUNCH_LOOKUP_FAILED;
	return group ? 0 : LAUNCH_UNKNOWN_GROUP;
}

/* Whom the launcher never becomes, whatever the system's lists say. 0 or a refusal. */
static int check_numbers(const struct identity *identity)
{
	if (identity->uid == 0 || is_member(identity, 0))
		return LAUNCH_IS_ROOT;
	/* The launcher has the daemon's numbers. */
	if (identity->uid == getuid() || is_member(identity, getgid()))
		return LAUNCH_IS_DAEMON;
	/* These say "as it is" to the system. */
	if (identity->uid == (uid_t)-1 || is_member(identity, (gid_t)-1))
		return LAUNCH_NOT_ALLOWED;
	return 0;
}

/* Whether it may be that user, in that group. 0 or a refusal. */
static int identify(const struct launch_request *request, struct identity *identity, int *ret_error)
{
	gid_t workers = (gid_t)-1;
	int r = look_up_user(request->user, identity, ret_error);
	if (r == 0)
		r = check_numbers(identity);
	if (r != 0)
		return r;
	r = look_up_group(LAUNCH_GROUP, &workers, ret_error);
	if (r != 0)
		return r == LAUNCH_UNKNOWN_GROUP ? LAUNCH_NO_WORKER_GROUP : r;
	if (!is_member(identity, workers))
		return LAUNCH_NOT_ALLOWED;
	if (request->group[0] == '\0')
		return 0;
	r = look_up_group(request->group, &identity->gid, ret_error);
	if (r != 0)
		return r;
	return is_member(identity, identity->gid) ? 0 : LAUNCH_NOT_ITS_GROUP;
}

/* ---- requests ---- */

/* Waits for as long as the daemon does not read. False: it has ended. */
static bool reply(struct launch_reply message)
{
	struct pollfd polled[] = {{.fd = DAEMON_FD, .events = POLLOUT},
				  {.fd = LIFE_FD, .events = POLLIN}};
	ssize_t n;
	while ((n = send(DAEMON_FD, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return false;
		if (poll(polled, 2, -1) > 0 && polled[1].revents)
			return false;
	}
	return n == (ssize_t)sizeof(message);
}

static struct child *find_id(uint64_t id)
{
	for (unsigned i = 0; i < child_count; i++)
		if (children[i].id == id)
			return &children[i];
	return NULL;
}

static struct child *find_pid(pid_t pid)
{
	for (unsigned i = 0; i < child_count; i++)
		if (children[i].pid == pid)
			return &children[i];
	return NULL;
}

static bool refuse(struct launch_reply message, int refusal, int error)
{
	message.type = LAUNCH_REFUSED;
	message.refusal = refusal;
	message.error = error;
	return reply(message);
}

/* False: the daemon has ended. */
static bool handle_start(const struct launch_request *request, const int *fds)
{
	static struct identity identity;
	struct launch_reply message = {.type = LAUNCH_STARTED, .id = request->id};
	pid_t launcher = getpid();
	int error = 0;
	if (child_count == LAUNCH_CHILDREN_MAX)
		return refuse(message, LAUNCH_FULL, 0);
	int r = identify(request, &identity, &error);
	if (r != 0)
		return refuse(message, r, error);
	message.pid = fork();
	if (message.pid < 0)
		return refuse(message, LAUNCH_FORK_FAILED, errno);
	if (message.pid == 0)
		become(&identity, fds, launcher);
	children[child_count++] = (struct child){message.pid, request->id};
	message.uid = identity.uid;
	return reply(message);
}

static void handle_kill(const struct launch_request *request)
{
	const struct child *child = find_id(request->id);
	if (child) /* else its end is on its way to the daemon */
		kill(child->pid, request->signal);
}

/* Whether the daemon could mean it. */
static bool is_request(const struct launch_request *request, int fd_count)
{
	switch (request->type) {
	case LAUNCH_START:
		return fd_count == LAUNCH_FD_COUNT && !find_id(request->id) &&
		       memchr(request->user, '\0', sizeof(request->user)) &&
		       memchr(request->group, '\0', sizeof(request->group));
	case LAUNCH_KILL:
		return fd_count == 0 && request->signal >= 1 && request->signal <= SIGRTMAX;
	default:
		return false;
	}
}

/* The descriptors of a message, as many as there is room for. */
static int take_descriptors(struct msghdr *header, int *fds)
{
	int count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t bytes = c->cmsg_len - CMSG_LEN(0);
		memcpy(fds, CMSG_DATA(c), bytes);
		count = (int)(bytes / sizeof(*fds));
	}
	return count;
}

/* Receives one, and does it. False: the daemon has ended, or says what no daemon does. */
static bool handle_request(void)
{
	struct launch_request request;
	union {
		struct cmsghdr align;
		char bytes[CMSG_LEN(LAUNCH_FD_COUNT * sizeof(int))];
	} control;
	int fds[LAUNCH_FD_COUNT];
	struct iovec iov = {&request, sizeof(request)};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	header.msg_control = &control;
	header.msg_controllen = CMSG_LEN(sizeof(fds)); /* not the size, where there is padding */
	ssize_t n = recvmsg(DAEMON_FD, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	int fd_count = n < 0 ? 0 : take_descriptors(&header, fds);
	bool whole =
		n == (ssize_t)sizeof(request) && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	bool good = whole && is_request(&request, fd_count);
	if (!good && n > 0)
		complain("the daemon asks for what no daemon does", "ending all");
	if (good && request.type == LAUNCH_START)
		good = handle_start(&request, fds);
	else if (good)
		handle_kill(&request);
	for (int i = 0; i < fd_count; i++)
		close(fds[i]);
	return good;
}

/* ---- children that have ended ---- */

static uint64_t microseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/* False: the daemon has ended. */
static bool reap(void)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	int status;
	(void)!read(CHILDREN_FD, &info, sizeof(info));
	for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
		struct child *child = find_pid(pid);
		if (!child)
			continue; /* none of those that it was asked for */
		struct launch_reply message = {
			.type = LAUNCH_ENDED,
			.id = child->id,
			.status = status,
			.user_us = microseconds(usage.ru_utime),
			.system_us = microseconds(usage.ru_stime),
			.max_rss_kib = (uint64_t)usage.ru_maxrss,
		};
		*child = children[--child_count];
		if (!reply(message))
			return false;
	}
	return true;
}

static void end_children(void)
{
	for (unsigned i = 0; i < child_count; i++)
		kill(children[i].pid, SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

/* ---- the process that stays ---- */

/* Each of the four to its place, nothing on standard input and output, and all else closed. */
static int settle_descriptors(int *fds)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	/* Out of each other's way first. */
	for (int i = 0; i < 4; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
	for (int i = 0; i < 4; i++)
		if (fds[i] < 0 || dup3(fds[i], DAEMON_FD + i, O_CLOEXEC) < 0)
			return -errno;
	return close_range(PROGRAM_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* Until the daemon ends. Signals end nothing here that the daemon may still need. */
static int stay(int socket, int life, int program)
{
	sigset_t all;
	reset_signals();
	/* What is started may have to stay with these, as any user can see to by using up his keys:
	 * they are not the daemon's, and nobody finds or leaves anything there. */
	if (leave_keys())
		syscall(SYS_keyctl, KEYCTL_SETPERM, KEY_SPEC_SESSION_KEYRING, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	int fds[] = {socket, signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), life, program};
	int r = settle_descriptors(fds);
	if (r < 0 || clearenv() != 0 || setsid() < 0) {
		complain("cannot begin", strerror(r < 0 ? -r : errno));
		return EXIT_FAILURE;
	}
	struct pollfd polled[] = {
		{.fd = DAEMON_FD, .events = POLLIN},
		{.fd = CHILDREN_FD, .events = POLLIN},
		{.fd = LIFE_FD, .events = POLLIN},
	};
	bool go_on = true;
	while (go_on) {
		if (poll(polled, 3, -1) < 0 && errno == EINTR)
			continue; /* as by SIGSTOP and SIGCONT */
		if (polled[2].revents)
			break;
		if (polled[1].revents)
			go_on = reap();
		if (go_on && polled[0].revents)
			go_on = handle_request();
	}
	end_children();
	return EXIT_SUCCESS;
}

/* ---- the process that becomes the daemon ---- */

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
	complain(what, why);
	exit(EXIT_FAILURE);
}

static void become_daemon(int socket, pid_t launcher, char **argv)
{
	char text[64];
	int r = keep_rights(NO_RIGHTS);
	if (r < 0)
		fail("cannot drop capabilities", strerror(-r));
	snprintf(text, sizeof(text), "%d:%ld", socket, (long)launcher);
	if (fcntl(socket, F_SETFD, 0) < 0 || setenv(LAUNCHER_VARIABLE, text, 1) < 0)
		fail("cannot hand over the socket", strerror(errno));
	execvp(argv[0], argv);
	fail(argv[0], strerror(errno));
}

/* Where root has started it: from here on there is no difference to the service manager. */
static void leave_root(void)
{
	static struct identity daemon;
	int error;
	if (geteuid() != 0)
		return;
	int r = look_up_user(LAUNCH_DAEMON_USER, &daemon, &error);
	if (r != 0)
		fail("cannot become the user " LAUNCH_DAEMON_USER,
		     error ? strerror(error)
			   : "there is none; systemd-sysusers(8) or useradd(8) --system makes it");
	if (daemon.uid == 0 || is_member(&daemon, 0))
		fail("cannot become the user " LAUNCH_DAEMON_USER, "it is root");
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	r = change_user(daemon.uid, daemon.gid, daemon.groups, daemon.group_count);
	if (r < 0)
		fail("cannot become the user " LAUNCH_DAEMON_USER, strerror(-r));
	leave_keys();
	putenv(daemon.home);
	putenv(daemon.user);
	putenv(daemon.logname);
	putenv(daemon.shell);
}

static void settle_rights(void)
{
	/* Rights that came with the file are not for whoever can execute it. */
	if (getuid() != geteuid() ||
	    (getuid() != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SETUID, 0, 0) != 1))
		fail("lacks rights", "root or procpoold.service are to start it");
	leave_root();
	int r = keep_rights(OWN_RIGHTS | BIT(CAP_SETPCAP));
	if (r == 0)
		r = forbid_rights();
	if (r == 0)
		r = keep_rights(OWN_RIGHTS);
	if (r < 0)
		fail("needs CAP_SETUID, CAP_SETGID, CAP_KILL and CAP_SETPCAP", strerror(-r));
	/* Nobody looks into what has them, nor takes it over. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		fail("cannot protect its memory", strerror(errno));
}

/* The program that lies beside this one. */
static int open_program(void)
{
	char path[VARIABLE_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(PROGRAM));
	char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
	if (!slash)
		fail("cannot find itself", strerror(errno));
	memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		fail(path, strerror(errno));
	return fd;
}

/* Missing standard descriptors would be taken by others. */
static void fill_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		_exit(EXIT_FAILURE);
	close(fd);
}

int main(int argc, char **argv)
{
	int sockets[2];
	fill_standard_descriptors();
	if (argc < 2 || argv[1][0] == '-') {
		fputs("Usage: procpool-launcher COMMAND [ARGUMENT]...\n"
		      "Runs procpoold as the user procpool, and starts workers for it as others.\n"
		      "See procpoold(8).\n",
		      stderr);
		return 2;
	}
	int program = open_program();
	settle_rights();
	int life = pidfd_open(getpid(), 0);
	if (life < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		fail("cannot begin", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		fail("cannot begin", strerror(errno));
	if (pid == 0)
		return stay(sockets[1], life, program);
	become_daemon(sockets[0], pid, argv + 1);
}
