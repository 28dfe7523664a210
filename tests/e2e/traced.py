# SPDX-License-Identifier: Apache-2.0
"""Runs a program and stops it at its Nth system call: to kill it there, or to let that call fail.

Counting starts at the first close_range(2), which a program calls when its own work begins. x86-64 only.
Spec: ptrace(2), user_regs_struct of <sys/user.h>.
"""
import ctypes
import os
import signal

TRACEME, GETREGS, SETREGS, SYSCALL, SETOPTIONS = 0, 12, 13, 24, 0x4200
TRACESYSGOOD, EXITKILL = 1, 0x100000
CLOSE_RANGE, EXECVE = 436, 59
ORIG_RAX, RAX, REGISTERS = 15, 10, 27

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace request {request}")


class Traced:
    """A stopped child; every step() runs it to the next entry into or return from a system call."""

    def __init__(self, command, output):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(output, 1)
                os.dup2(output, 2)
                ptrace(TRACEME, 0)
                os.execv(command[0], command)
            finally:
                os._exit(99)  # pylint: disable=protected-access
        self.registers = (ctypes.c_ulonglong * REGISTERS)()
        self.status = os.waitpid(self.pid, 0)[1]
        ptrace(SETOPTIONS, self.pid, ctypes.c_void_p(TRACESYSGOOD | EXITKILL))

    def step(self):
        """False when it has ended. Signals are passed on."""
        deliver = 0
        while True:
            ptrace(SYSCALL, self.pid, ctypes.c_void_p(deliver))
            self.status = os.waitpid(self.pid, 0)[1]
            if not os.WIFSTOPPED(self.status):
                return False
            deliver = os.WSTOPSIG(self.status)
            if deliver == signal.SIGTRAP | 0x80:
                return True
            if deliver == signal.SIGTRAP:  # of an execve
                deliver = 0

    def number(self):
        ptrace(GETREGS, self.pid, self.registers)
        return self.registers[ORIG_RAX]

    def become(self, number):
        """At an entry: another call is made instead, with the same arguments."""
        ptrace(GETREGS, self.pid, self.registers)
        self.registers[ORIG_RAX] = number
        ptrace(SETREGS, self.pid, self.registers)

    def fail_with(self, error):
        """At an entry: the call is not made, and returns -error."""
        self.registers[ORIG_RAX] = 0xffffffffffffffff
        ptrace(SETREGS, self.pid, self.registers)
        if self.step():
            ptrace(GETREGS, self.pid, self.registers)
            self.registers[RAX] = -error & 0xffffffffffffffff
            ptrace(SETREGS, self.pid, self.registers)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.status = os.waitpid(self.pid, 0)[1]

    def finish(self):
        while not (os.WIFEXITED(self.status) or os.WIFSIGNALED(self.status)):
            self.step()
        return os.waitstatus_to_exitcode(self.status)

    def run_to(self, nth):
        """To the entry of the nth call after the first close_range(); its number, None at the end or when
        the program has been replaced by another."""
        counting, seen = False, 0
        while self.step():  # an entry
            number = self.number()
            if number == CLOSE_RANGE:
                counting = True
            elif counting:
                if number == EXECVE:
                    return None
                seen += 1
                if seen == nth:
                    return number
            if not self.step():  # the return
                break
        return None
