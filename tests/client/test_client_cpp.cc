/* SPDX-License-Identifier: MIT */
/* The public headers in a C++ program: every kind of thing that they declare is used once. */
#include <procpool.h>

#include <cstdio>
#include <memory>
#include <string>

struct Closer {
	void operator()(procpool *pp) const
	{
		procpool_close(pp);
	}
};

int main()
{
	procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	procpool_options call_options = PROCPOOL_OPTIONS_INIT;
	procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	procpool *pp = nullptr;

	options.path = "/nonexistent/procpoold.sock";
	call_options.on_items = [](procpool *, uint64_t, procpool_value, void *) {};
	procpool_call_fn callback = [](procpool *, const procpool_outcome *, void *) {};
	procpool_push_fn push = [](procpool *, const procpool_push *, void *) {};
	if (!call_options.on_items || !callback || !push)
		return 1;

	if (procpool_connect(&options, &pp, &out) != PROCPOOL_ERR_NO_DAEMON)
		return 1;
	options.size = 0;
	if (procpool_connect_private(nullptr, &options, &pp, nullptr) != PROCPOOL_ERR_INVALID)
		return 1;
	std::unique_ptr<procpool, Closer> none(pp);
	std::printf("%s: %s\n", procpool_code_name(out.code), out.message);

	procpool_writer args;
	procpool_writer_init(&args);
	procpool_write_array(&args, 1);
	procpool_write_string(&args, std::string("x").c_str());
	struct procpool_iter it = procpool_iter(procpool_writer_value(&args));
	procpool_value value;
	bool good = procpool_iter_next(&it, &value) && procpool_value_is(value, "x");
	procpool_writer_fini(&args);
	procpool_outcome_fini(&out);
	return good ? 0 : 1;
}
