/* SPDX-License-Identifier: MIT */
/* A shared object that is no module. */
__attribute__((visibility("default"))) extern const int something_else;
const int something_else = 1;
