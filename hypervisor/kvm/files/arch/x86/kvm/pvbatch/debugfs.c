// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: in-kernel KVM, for the administrator: the per-VM switch. limits.c and
 * trace.c have the other files.
 *
 * kvm/<pid>-<fd>/pvbatch in debugfs reads 1 or 0 and takes them, y/n and on/off. Off voids
 * what the guest has negotiated: its calls answer -PVB_EPERM and it falls back to direct
 * writes. On lets it negotiate anew. The counters are beside it, and in KVM's binary stats.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/kvm_host.h>

#include "internal.h"

static ssize_t pvbatch_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct kvm *kvm = file->private_data;
	char text[] = { READ_ONCE(kvm->arch.pvb->enabled) ? '1' : '0', '\n' };

	return simple_read_from_buffer(buf, size, pos, text, sizeof(text));
}

static ssize_t pvbatch_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct kvm *kvm = file->private_data;
	bool on;
	int r = kstrtobool_from_user(buf, size, &on);

	if (r)
		return r;
	WRITE_ONCE(kvm->arch.pvb->enabled, on);
	if (!on)
		kvm_pvb_withdraw(kvm);
	return size;
}

static int pvbatch_open(struct inode *inode, struct file *file)
{
	file->private_data = inode->i_private;
	return kvm_get_kvm_safe(file->private_data) ? 0 : -ENOENT;
}

static int pvbatch_release(struct inode *inode, struct file *file)
{
	kvm_put_kvm(file->private_data);
	return 0;
}

static const struct file_operations pvbatch_fops = {
	.owner = THIS_MODULE,
	.open = pvbatch_open,
	.release = pvbatch_release,
	.read = pvbatch_read,
	.write = pvbatch_write,
	.llseek = default_llseek,
};

void kvm_pvb_create_debugfs(struct kvm *kvm)
{
	if (!kvm->arch.pvb)
		return;
	debugfs_create_file("pvbatch", 0644, kvm->debugfs_dentry, kvm, &pvbatch_fops);
	kvm_pvb_create_limits(kvm);
	kvm_pvb_create_trace(kvm);
}
