# SPDX-License-Identifier: GPL-2.0-or-later
"""A file starts to use the mmap locking API, and includes nothing that declares it"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.c.code import Code
from reviewbot.kernel import MMAP_API
from reviewbot.model import LineKind, Severity
from reviewbot.rule import Report, Scope, code_rule

# mm/memory.c has its own, for itself
API = tuple(name for name in MMAP_API if name != "mmap_upgrade_trylock")
HEADER = "linux/mmap_lock.h"
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*+(?:<([^>\n]{1,200})>|(.?))", re.M)
_USED = re.compile(rf"\b(?:{'|'.join(API)})[ \t]*+\(")


@code_rule(
    Severity.WARNING,
    id="HY17",
    words=("mmap_read", "mmap_write", "mmap_assert", "mmap_init_lock", "mmap_lock_"),
    needs="file",
    build=True,
    scope=Scope(suffixes=(".c",)),
)
def check(code: Code) -> Iterator[Report]:
    """Silent where one of the includes is not known: it may reach the header."""
    calls = [call for call in code.calls(*API) if _real(code, call.name)]
    if not calls or _elsewhere(code.path):
        return
    if code.file is None and not code.whole:
        if code.side is LineKind.ADDED and _starts(code):
            code.abstain()
        return
    includes = [match[1] for match in _INCLUDE.finditer(_text(code))]
    if not includes or any(name not in NOT_REACHING for name in includes):
        return
    if code.side is LineKind.ADDED and code.file is not None and _USED.search(code.file.before or ""):
        return
    first = calls[0]
    yield Report(
        first.tokens,
        f"{first.name}() is declared in <{HEADER}>, which no include of this file reaches: "
        f"it needs #include <{HEADER}>",
    )


def _text(code: Code) -> str:
    return code.text or "\n".join(line.text for line in code.lines)


def _real(code: Code, name: str) -> bool:
    """The kernel at hand, or the series, has the function in the header: the API came with 5.8."""
    return code.version is None or code.version >= (5, 8) or code.defines(name)


def _elsewhere(path: str) -> bool:
    """Another architecture than the one whose headers were read."""
    return path.startswith("arch/") and not path.startswith("arch/x86/")


def _starts(code: Code) -> bool:
    """By what the diff shows, the file has not used the API before, and nothing in sight declares it."""
    known = [line.text for hunk in (code.diff.hunks if code.diff else ()) for line in hunk.lines]
    old = [
        line.text
        for hunk in (code.diff.hunks if code.diff else ())
        for line in hunk.lines
        if line.kind is not LineKind.ADDED
    ]
    declared = any((match[1] or "") not in NOT_REACHING for match in _INCLUDE.finditer("\n".join(known)))
    return not declared and not any(_USED.search(text) for text in old)


# Headers of include/linux that reach neither linux/mm.h nor linux/mmap_lock.h, whatever the configuration: none of
# what they include, and so on, #ifdef or not, in linux 6.1 and in 6.12.117 on x86. Those that 25 files and more
# include, and some of what drivers have beside a lock. A header that is not here may reach it: module.h, fs.h,
# uaccess.h and device.h do.
NOT_REACHING = frozenset(
    f"linux/{name}.h"
    for name in """
    adb align anon_inodes aperture arm-smccc array_size ata ata_platform atomic bcd binfmts bitfield bitmap
    bitops bitrev bits bsearch btf_ids bug build_bug byteorder/generic cache can can/error capability
    cc_platform ceph/ceph_debug circ_buf cleanup clk clk/tegra clkdev comedi/comedi_8254 comedi/comedi_8255
    compiler completion component configfs container_of context_tracking cpu_pm cpufeature cpuhotplug cpuidle
    cpumask crc16 crc32 crc8 cred crypto ctype dcache delay dev_printk dma-direction dma-fence dma-resv dmi
    dvb/frontend err errno error-injection eventfd export exportfs extable falloc fcntl file fips firmware font
    freezer fs_struct gcd genalloc gfp gpio/consumer gpio/machine gpio_keys hardirq hash hashtable hdreg hrtimer
    hw_random hwmon idr if iio/consumer iio/driver iio/events iio/kfifo_buf iio/sysfs iio/trigger_consumer
    iio/types in in6 init initrd input/sparse-keymap input/touchscreen interconnect-provider interconnect
    interrupt io-64-nonatomic-lo-hi io ioctl iopoll ioport iosys-map irq irqchip/chained_irq irqflags irqreturn
    jhash jiffies jump_label kasan kbuild kdebug kdev_t kernel kernel_stat key-type key kmemleak kmod kobject
    kref kstrtox kthread ktime kvm libfdt limits linkage list list_sort lockdep log2 magic major math math64
    mbus media-bus-format memory_hotplug mempool memremap mfd/intel_soc_pmic mfd/syscon minmax mm_types mmc/mmc
    mmc/sdio mmc/slot-gpio mmzone mod_devicetable moduleparam mount mpage msg mtd/map mtd/partitions mutex
    net_tstamp netfilter/nf_tables nfc nls nodemask nospec notifier nsproxy numa nvmem-consumer of_clk of_fdt
    of_graph of_pci overflow pagevec panic_notifier param parser pci_ids pci_regs percpu personality pfn pgtable
    pid pinctrl/machine pinctrl/pinconf-generic pinctrl/pinconf pkt_sched platform_data/cros_ec_commands pm
    pm_wakeirq posix_acl posix_acl_xattr prctl preempt prefetch printk processor profile property random
    ratelimit rbtree rculist rcupdate reboot refcount regmap regulator/of_regulator reset-controller reset
    resource rhashtable root_dev rwsem sched sched/clock sched/debug sched/hotplug sched/mm sched/task_stack
    sched_clock screen_info semaphore seqlock serial serial_reg sh_intc sh_timer shm signal sizes slab smp
    soc/renesas/rcar-rst soc/ti/omap1-io socket sockios sort soundwire/sdw_registers soundwire/sdw_type spinlock
    splice srcu stacktrace stat statfs stdarg stddef string string_helpers stringify swab swapops syscore_ops
    sysctl sysfs sysrq task_io_accounting_ops termios thread_info threads time time64 timekeeping timer timex
    topology types uio unistd units usb/cdc usb/ch9 usb/hcd user user_namespace util_macros utsname uuid vfs
    videodev2 vmalloc wait workqueue ww_mutex xarray
    """.split()
)
