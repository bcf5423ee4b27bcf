/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include "print.h"
#include "text.h"

static double number(struct procpool_value value)
{
	double d = 0;
	procpool_value_double(value, &d);
	return d;
}

double histogram_quantile(struct procpool_value histogram, double share, bool *ret_beyond)
{
	struct procpool_iter bounds = procpool_iter(procpool_value_get(histogram, "le"));
	struct procpool_iter counts = procpool_iter(procpool_value_get(histogram, "counts"));
	double wanted = share * number(procpool_value_get(histogram, "count"));
	double below = 0, last = -1;
	struct procpool_value count, bound;
	if (wanted <= 0)
		return -1;
	while (procpool_iter_next(&counts, &count)) {
		below += number(count);
		bool bounded = procpool_iter_next(&bounds, &bound);
		if (bounded)
			last = number(bound);
		if (below >= wanted) {
			*ret_beyond = !bounded;
			return last;
		}
	}
	*ret_beyond = true;
	return last;
}

void histogram_write(struct text *out, struct procpool_value histogram)
{
	static const struct {
		const char *name;
		double share;
	} shares[] = {{"50%", 0.5}, {"90%", 0.9}, {"99%", 0.99}};
	double count = number(procpool_value_get(histogram, "count"));
	if (count <= 0) {
		text_add_string(out, "none yet");
		return;
	}
	text_add_string(out, "mean ");
	print_seconds(out, number(procpool_value_get(histogram, "sum")) / count);
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		bool beyond = false;
		double bound = histogram_quantile(histogram, shares[i].share, &beyond);
		text_addf(out, ", %s %s ", shares[i].name, beyond ? ">" : "≤");
		print_seconds(out, bound);
	}
}
