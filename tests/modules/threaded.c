/* SPDX-License-Identifier: MIT */
/* Starts a thread while it is loaded, and works only in the process that has it. */
#include <pthread.h>
#include <semaphore.h>

#include <procpool/module.h>

static sem_t question, answer;

static void *answer_questions(void *data)
{
	for (;;) {
		sem_wait(&question);
		sem_post(&answer);
	}
	return data;
}

__attribute__((constructor)) static void start_thread(void)
{
	pthread_t thread;
	sem_init(&question, 0, 0);
	sem_init(&answer, 0, 0);
	if (pthread_create(&thread, NULL, answer_questions, NULL) == 0)
		pthread_detach(thread);
}

/* Hangs where the thread was lost. */
static int ask(struct procpool_call *call)
{
	sem_post(&question);
	sem_wait(&answer);
	return procpool_return_string(call, "answered");
}

static const struct procpool_function functions[] = {{"ask", "ask(): asks the thread", ask}};
PROCPOOL_MODULE("threaded", NULL, functions, NULL, NULL);
