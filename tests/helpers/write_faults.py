"""Lets the n-th write of a process below a folder fail, as on a full disk, or kills the process there.

The kernel itself asks a supervisor before each system call that writes (seccomp's user notifications, Linux 5.5, x86-64). So
what TensorFlow's C++ code writes is found too, and nothing has to be compiled or patched.
"""

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

_PATH_CALLS = {83: "mkdir", 82: "rename", 87: "unlink", 84: "rmdir", 86: "link", 88: "symlink", 76: "truncate"}
_AT_CALLS = {257: "open", 258: "mkdir", 264: "rename", 316: "rename", 263: "unlink", 265: "link", 266: "symlink"}
_FD_CALLS = {1: "write", 18: "write", 20: "write", 296: "write", 74: "fsync", 75: "fsync", 77: "truncate", 326: "write"}
_OPENAT, _NEW_PATH_FIRST = 257, {"link", "symlink"}
_REMOVING = ("unlink", "rmdir", "truncate")  # a full disk does not mind these
_NO_NEW_PRIVILEGES, _SECCOMP, _SET_FILTER, _NEW_LISTENER = 38, 317, 1, 8
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_THIS_FOLDER = 0xFFFFFF9C  # AT_FDCWD in 32 bits


@dataclass(frozen=True)
class Fault:
    """What happens at a write.

    Attributes:
        folder: only what is written below it counts.
        number: which write, counted from 1; from there on all fail, since a full disk stays full. 0: none, they are counted.
        error: "ENOSPC" or "EROFS", or "kill" for SIGKILL before the write.
    """

    folder: str
    number: int
    error: str


def is_supported() -> bool:
    """Returns whether this kernel and machine can do it; a process that is traced or in some containers cannot."""
    actions = Path("/proc/sys/kernel/seccomp/actions_avail")
    return platform.machine() == "x86_64" and actions.exists() and "user_notif" in actions.read_text().split()


def ask_before_writes(connection: socket.socket) -> None:
    """Has this process and its later threads ask before each write, and sends the supervisor's end over a socket."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    program = ctypes.create_string_buffer(_build_filter())
    description = struct.pack("HxxxxxxP", len(program.raw) // 8, ctypes.addressof(program))
    listener = libc.syscall(_SECCOMP, _SET_FILTER, _NEW_LISTENER, ctypes.create_string_buffer(description, len(description)))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    connection.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
    os.close(listener)


def _build_filter() -> bytes:
    """Returns the program that lets all system calls pass but those that write, and of openat those that only read."""
    write_flags = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    calls = sorted({*_PATH_CALLS, *_AT_CALLS, *_FD_CALLS} - {_OPENAT})
    steps = [(_LOAD, 0, 0, 0), (_EQUAL, 0, 2, _OPENAT), (_LOAD, 0, 0, 32), (_ANY_BIT, len(calls) + 1, len(calls), write_flags)]
    steps += [(_EQUAL, len(calls) - index, 0, call) for index, call in enumerate(calls)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ASK)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def supervise(connection: socket.socket, process: int, fault: Fault) -> list[str]:
    """Answers a process that ``ask_before_writes`` until it has ended; returns its writes below the folder, one line each."""
    _, ancillary, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(4))
    (listener,) = array.array("i", ancillary[0][2])
    ended = os.pidfd_open(process)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(ended, select.POLLIN)
    writes: list[str] = []
    while True:
        ready = dict(poll.poll())
        if listener in ready and ready[listener] & select.POLLIN:
            _answer(listener, process, fault, writes)
        elif ready:
            break
    os.close(listener)
    os.close(ended)
    return writes


def _answer(listener: int, process: int, fault: Fault, writes: list[str]) -> None:
    """Lets one system call pass, or fail."""
    notice = bytearray(80)
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
    except OSError:  # the process has been killed meanwhile
        return
    identity, thread, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", notice)
    kind, path = _describe(thread, number, arguments)
    code = 0
    if path.startswith(fault.folder + "/") and not (kind in _REMOVING and fault.error == "ENOSPC"):
        writes.append(f"{kind} {path.removeprefix(fault.folder)}")
        if fault.number and len(writes) >= fault.number:
            if fault.error == "kill":
                os.kill(process, signal.SIGKILL)
                return
            code = -getattr(errno, fault.error)
    try:
        fcntl.ioctl(listener, _SEND, struct.pack("QqiI", identity, 0, code, 0 if code else _CONTINUE))
    except FileNotFoundError:  # as above
        return


def _describe(thread: int, number: int, arguments: list[int]) -> tuple[str, str]:
    """Returns what a system call does, and the path that it writes."""
    if number in _FD_CALLS:
        return _FD_CALLS[number], _read_link(f"/proc/{thread}/fd/{arguments[0] & 0xFFFFFFFF}")
    if number in _PATH_CALLS:
        kind = _PATH_CALLS[number]
        text = _read_text(thread, arguments[1 if kind in _NEW_PATH_FIRST else 0])
        return kind, os.path.normpath(os.path.join(_read_link(f"/proc/{thread}/cwd"), text))
    kind = _AT_CALLS[number]
    folder, text = (arguments[0], arguments[1]) if kind not in _NEW_PATH_FIRST else (arguments[-4], arguments[-3])
    folder &= 0xFFFFFFFF
    start = _read_link(f"/proc/{thread}/cwd" if folder == _THIS_FOLDER else f"/proc/{thread}/fd/{folder}")
    return kind, os.path.normpath(os.path.join(start, _read_text(thread, text)))


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # such as the thread of a killed process
        return ""


def _read_text(thread: int, address: int) -> str:
    """Returns a text in the memory of a process that ends with a zero byte."""
    text = b""
    try:
        with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
            while b"\0" not in text and len(text) < 8192:
                memory.seek(address + len(text))
                text += memory.read(256 - (address + len(text)) % 256)  # never beyond the end of a page
    except OSError:
        return ""
    return os.fsdecode(text.partition(b"\0")[0])
