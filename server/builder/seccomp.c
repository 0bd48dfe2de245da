/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compilers' system call filter, in plain BPF. It refuses what no compiler
 * needs and a hostile source (through a plugin, a wrapper, a flaw of the
 * compiler) would want: the network, other processes, name spaces, the kernel's
 * larger gates, and leaving the process group by which a build that runs wild is
 * ended. Everything else stays allowed, so that any compiler works.
 */
#include "builder/jail.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#endif

#ifdef OUR_ARCH

#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* The next instruction is for this call alone. */
#define ON(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1)
#define DENY(call) ON(call), REFUSE(EPERM)

static struct sock_filter program[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
    REFUSE(ENOSYS),
    LOAD(nr),
    /* x32 calls have other numbers */
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
    REFUSE(ENOSYS),
    DENY(connect),
    DENY(bind),
    DENY(listen),
    DENY(setsid),
    DENY(setpgid),
    DENY(ptrace),
    DENY(process_vm_readv),
    DENY(process_vm_writev),
    DENY(pidfd_getfd),
    DENY(kcmp),
    DENY(unshare),
    DENY(setns),
    DENY(mount),
    DENY(umount2),
    DENY(pivot_root),
    DENY(chroot),
    DENY(move_mount),
    DENY(open_tree),
    DENY(fsopen),
    DENY(fsmount),
    DENY(bpf),
    DENY(perf_event_open),
    DENY(userfaultfd),
    DENY(io_uring_setup),
    DENY(add_key),
    DENY(request_key),
    DENY(keyctl),
    DENY(init_module),
    DENY(finit_module),
    DENY(delete_module),
    DENY(kexec_load),
    DENY(reboot),
    DENY(swapon),
    DENY(swapoff),
    DENY(sethostname),
    DENY(setdomainname),
    DENY(settimeofday),
    DENY(clock_settime),
    DENY(adjtimex),
    DENY(open_by_handle_at),
    /* socket(): AF_UNIX alone, for libraries that try a daemon and go on */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
    LOAD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0),
    REFUSE(EACCES),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int seccomp_install(void)
{
    struct sock_fprog filter = { .len = sizeof(program) / sizeof(*program), .filter = program };

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0 ? 0 : errno;
}

bool seccomp_possible(void)
{
    unsigned int action = SECCOMP_RET_ERRNO;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

#else

int seccomp_install(void)
{
    return ENOSYS;
}

bool seccomp_possible(void)
{
    return false;
}

#endif
