/* SPDX-License-Identifier: MIT */
/* <procpool/module.h> serves C++ as well. */
#include <procpool/module.h>

#include <string>

static int greet(procpool_call *call)
{
	const char *name;
	size_t size;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_string(call, 0, &name, &size))
		return -1;
	std::string text = "hello " + std::string(name, size);
	return procpool_return_string_n(call, text.data(), text.size());
}

static const procpool_function functions[] = {
	{"greet", "greet(name): a greeting", greet},
};

PROCPOOL_MODULE("from_cxx", "C++.", functions, nullptr, nullptr);
