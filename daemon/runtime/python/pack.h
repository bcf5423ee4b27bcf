/* SPDX-License-Identifier: MIT */
/*
 * Packing scalars: what a worker returns, and many at once for the client, whose map of a million
 * numbers spends its time with it.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>

#include "procpool/value.h"

/* Values from so many bytes on are not copied, so they are none of these. */
#define PACK_BYTES_MAX 65535

/*
 * Writes a value that MessagePack keeps exactly: None, bool, int of 64 bits, float, str without
 * surrogates, bytes, of these very types and of at most PACK_BYTES_MAX bytes. False: it is none,
 * and nothing is written. Runs no Python code.
 */
bool pack_scalar(struct procpool_writer *w, PyObject *value);

/*
 * The MessagePack array of a list or tuple, as bytes, where each of its values is one that
 * pack_scalar() writes. None where one is not, or they have more than size_max bytes together; NULL
 * with TypeError where it is no list or tuple, or MemoryError. Runs no Python code.
 */
PyObject *pack_array(PyObject *values, size_t size_max);

/*
 * Elements of a list from the index `first` up to `last`, packed one after the other as far as that
 * is done here: (bytes, how many, None or a pickle). It ends before the element that would make
 * them more than size_max bytes, that is a str or bytes and large, or that cannot be pickled.
 *
 * dumps  pickles what is no scalar, to be packed as an ext (PACK_PICKLE_EXT); or None: it ends
 * there. Where a pickle was made and has no room, it is given, and need not be made again. star
 * elements are lists or tuples of scalars, and others end it
 *
 * NULL where dumps raises what is no Exception, or there is no memory.
 */
PyObject *pack_run(PyObject *values, Py_ssize_t first, Py_ssize_t last, size_t size_max,
		   PyObject *dumps, bool star);

/* The MessagePack extension type of a pickle. */
#define PACK_PICKLE_EXT 80
