"""How the C library hands out memory to what trains or paints on processors.

A step, or a picture, allocates and frees the same few hundred megabytes. glibc gives large blocks back to the system at once and
takes them anew, page by page; the kernel then spends a large part of the time on emptying pages. Kept, and in large pages, they
cost nothing after the first time. Knows nothing about Keras.
"""

import os
import platform
import sys

# https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html; what a glibc does not know, it ignores.
TUNABLES = {"mmap_max": 0,  # blocks, of whatever size, that get memory of their own, which can't be kept
            "trim_threshold": 2**32,  # bytes that are kept at most
            "top_pad": 2**28,  # bytes by which memory grows
            "hugetlb": 1,  # large pages, where the kernel has them (glibc 2.35)
            "arena_max": 1}  # memory of other threads' own can't be kept


def keep_memory() -> None:
    """Start this program anew, under the same process id, so that the C library keeps what it got; nothing where that is done
    already, where somebody chose otherwise in GLIBC_TUNABLES, or where there is no glibc. To be called first of all."""
    if "GLIBC_TUNABLES" in os.environ or platform.libc_ver()[0] != "glibc":
        return
    os.environ["GLIBC_TUNABLES"] = ":".join(f"glibc.malloc.{name}={value}" for name, value in TUNABLES.items())
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
