/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The form is the one of the kernel's kernel/bpf/disasm.c, since that is what people who read BPF know:
 * the operation code in parentheses, r0 to r10 for whole registers and w0 to w10 for their lower halves,
 * constants of arithmetic in decimal and those of comparisons in hexadecimal, targets of jumps
 * relative to the next instruction.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/bpf.h>

#include "condition/disassemble.h"

static const char *const alu_operators[16] = {
	[BPF_ADD >> 4] = "+=",  [BPF_SUB >> 4] = "-=",  [BPF_MUL >> 4] = "*=",
	[BPF_DIV >> 4] = "/=",  [BPF_OR >> 4] = "|=",   [BPF_AND >> 4] = "&=",
	[BPF_LSH >> 4] = "<<=", [BPF_RSH >> 4] = ">>=", [BPF_MOD >> 4] = "%=",
	[BPF_XOR >> 4] = "^=",  [BPF_MOV >> 4] = "=",   [BPF_ARSH >> 4] = "s>>=",
};

static const char *const jump_operators[16] = {
	[BPF_JEQ >> 4] = "==",   [BPF_JGT >> 4] = ">",    [BPF_JLT >> 4] = "<",
	[BPF_JGE >> 4] = ">=",   [BPF_JLE >> 4] = "<=",   [BPF_JSET >> 4] = "&",
	[BPF_JNE >> 4] = "!=",   [BPF_JSGT >> 4] = "s>",  [BPF_JSLT >> 4] = "s<",
	[BPF_JSGE >> 4] = "s>=", [BPF_JSLE >> 4] = "s<=",
};

static const char *size_name(uint8_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return "u8";
	case BPF_H:
		return "u16";
	case BPF_W:
		return "u32";
	default:
		return "u64";
	}
}

static int write_alu(const struct bpf_insn *insn, char *ret, size_t size)
{
	const char *operator= alu_operators[BPF_OP(insn->code) >> 4];
	char bank = BPF_CLASS(insn->code) == BPF_ALU64 ? 'r' : 'w';

	if (BPF_OP(insn->code) == BPF_NEG)
		return snprintf(ret, size, "(%02x) %c%u = -%c%u", insn->code, bank, insn->dst_reg,
				bank, insn->dst_reg);
	if (!operator)
		return -1;
	if (BPF_SRC(insn->code) == BPF_X)
		return snprintf(ret, size, "(%02x) %c%u %s %c%u", insn->code, bank,
				insn->dst_reg, operator, bank, insn->src_reg);
	return snprintf(ret, size, "(%02x) %c%u %s %d", insn->code, bank, insn->dst_reg, operator,
			insn->imm);
}

static int write_call(const struct bpf_insn *insn, char *ret, size_t size)
{
	if (insn->src_reg == BPF_PSEUDO_CALL)
		return snprintf(ret, size, "(%02x) call pc%+d", insn->code, insn->imm);
	if (insn->imm == BPF_FUNC_probe_read_kernel)
		return snprintf(ret, size, "(%02x) call bpf_probe_read_kernel#%d", insn->code,
				insn->imm);
	if (insn->imm == BPF_FUNC_probe_read_user)
		return snprintf(ret, size, "(%02x) call bpf_probe_read_user#%d", insn->code,
				insn->imm);
	return snprintf(ret, size, "(%02x) call unknown#%d", insn->code, insn->imm);
}

static int write_jump(const struct bpf_insn *insn, char *ret, size_t size)
{
	const char *operator= jump_operators[BPF_OP(insn->code) >> 4];
	bool is_whole = BPF_CLASS(insn->code) == BPF_JMP;
	char bank = is_whole ? 'r' : 'w';

	if (insn->code == (BPF_JMP | BPF_CALL))
		return write_call(insn, ret, size);
	if (insn->code == (BPF_JMP | BPF_EXIT))
		return snprintf(ret, size, "(%02x) exit", insn->code);
	if (insn->code == (BPF_JMP | BPF_JA))
		return snprintf(ret, size, "(%02x) goto pc%+d", insn->code, insn->off);
	if (!operator)
		return -1;
	if (BPF_SRC(insn->code) == BPF_X)
		return snprintf(ret, size, "(%02x) if %c%u %s %c%u goto pc%+d", insn->code, bank,
				insn->dst_reg, operator, bank, insn->src_reg, insn->off);
	return snprintf(ret, size, "(%02x) if %c%u %s 0x%x goto pc%+d", insn->code, bank,
			insn->dst_reg, operator, insn->imm, insn->off);
}

/* Of memory only plain accesses: atomic ones the generator does not make. */
static int write_memory(const struct bpf_insn *insn, char *ret, size_t size)
{
	const char *type = size_name(insn->code);

	if (BPF_MODE(insn->code) != BPF_MEM)
		return -1;
	switch (BPF_CLASS(insn->code)) {
	case BPF_LDX:
		return snprintf(ret, size, "(%02x) r%u = *(%s *)(r%u %+d)", insn->code,
				insn->dst_reg, type, insn->src_reg, insn->off);
	case BPF_STX:
		return snprintf(ret, size, "(%02x) *(%s *)(r%u %+d) = r%u", insn->code, type,
				insn->dst_reg, insn->off, insn->src_reg);
	default: /* BPF_ST */
		return snprintf(ret, size, "(%02x) *(%s *)(r%u %+d) = %d", insn->code, type,
				insn->dst_reg, insn->off, insn->imm);
	}
}

size_t disassemble(const struct bpf_insn *insns, size_t n, char *ret, size_t size)
{
	int written = -1;

	if (insns->code == (BPF_LD | BPF_IMM | BPF_DW) && n > 1 && insns->src_reg == 0) {
		unsigned long long constant =
			(uint32_t)insns[0].imm | (unsigned long long)(uint32_t)insns[1].imm << 32;

		snprintf(ret, size, "(%02x) r%u = 0x%llx", insns->code, insns->dst_reg, constant);
		return 2;
	}
	switch (BPF_CLASS(insns->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		written = write_alu(insns, ret, size);
		break;
	case BPF_JMP:
	case BPF_JMP32:
		written = write_jump(insns, ret, size);
		break;
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		written = write_memory(insns, ret, size);
		break;
	}
	if (written < 0)
		snprintf(ret, size, "(%02x) unknown", insns->code);
	return 1;
}
