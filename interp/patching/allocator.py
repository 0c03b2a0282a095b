"""Making the C library's allocator give memory back, so that a process grows by what its tensors take."""

import ctypes
import platform

_M_MMAP_THRESHOLD = -3
"""Of glibc's `malloc.h`."""
_LARGE_BYTES = 128 * 2**10
"""What glibc begins with. Left alone it raises this with every large block that is freed."""


def return_memory_at_once() -> bool:
    """Have large blocks returned to the system when they are freed, in this process and from now on.

    Otherwise glibc keeps freed blocks for later, and blocks of growing sizes leave holes between them: sweeps over a
    GPT-2-small shape made the process grow by 1.2 to 1.8 times what their tensors take, and by different amounts on
    different machines. Returning them costs a fifth more time, for new pages are cleared.

    Returns:
        Whether this allocator can be told; False anywhere but with glibc, and nothing is changed then.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES))
