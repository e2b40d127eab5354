#include "textflag.h"

// A handler that touches nothing of Go's, and what raises the signals it takes.

// handler(DI: signal, SI: siginfo, DX: ucontext) notes what it starts with, then mends what raised the signal: masks and
// clears floating-point exceptions in the interrupted state, and ends stepping once steps are used up.
TEXT ·handler(SB), NOSPLIT|NOFRAME, $0-0
	PUSHFQ
	POPQ AX
	MOVQ AX, ·seen+0(SB)
	STMXCSR ·seen+8(SB)
	FSTCW ·seen+16(SB)
	MOVQ X0, ·seen+24(SB)
	MOVQ X15, ·seen+32(SB)
	MOVL 8(SI), AX
	MOVQ AX, ·seen+40(SB)
	MOVQ 16(SI), AX
	MOVQ AX, ·seen+48(SB)
	INCQ ·seen+56(SB)
	MOVQ 224(DX), CX
	MOVW 0(CX), AX
	MOVWQZX AX, AX
	MOVQ AX, ·seen+64(SB)
	MOVL 24(CX), AX
	MOVQ AX, ·seen+72(SB)
	MOVW 2(CX), AX
	MOVWQZX AX, AX
	MOVQ AX, ·seen+80(SB)
	CMPL DI, $8
	JNE notFloat
	ORW $0x3f, 0(CX)
	ANDW $0x7f00, 2(CX)
	ANDL $0xffc0, 24(CX)
	ORL $0x1f80, 24(CX)
	RET
notFloat:
	CMPL DI, $5
	JNE done
	DECQ ·steps(SB)
	JNZ done
	ANDQ $~0x100, 176(DX)
done:
	RET

TEXT ·restorer(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $15, AX
	SYSCALL
	INT $3

// func addresses() (handler, restorer uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-16
	LEAQ ·handler(SB), AX
	MOVQ AX, handler+0(FP)
	LEAQ ·restorer(SB), AX
	MOVQ AX, restorer+8(FP)
	RET

// func raise(pid, tid, signal uintptr) int
// Sends the signal with unusual modes and registers; gives the number of those that are changed afterwards.
TEXT ·raise(SB), NOSPLIT, $32-32
	MOVQ pid+0(FP), DI
	MOVQ tid+8(FP), SI
	MOVQ signal+16(FP), DX
	STMXCSR old-8(SP)
	MOVL $0xffc0, new-16(SP)
	LDMXCSR new-16(SP)
	FSTCW saved-24(SP)
	MOVW $0x0c7f, word-32(SP)
	FLDCW word-32(SP)
	FLDPI
	MOVQ $0x1234567890abcdef, BX
	MOVQ BX, X0
	MOVQ BX, X14
	MOVL $234, AX
	XORQ R8, R8
	SYSCALL
	XORQ CX, CX
	STMXCSR value-12(SP)
	MOVL value-12(SP), R9
	ANDL $0xffc0, R9
	CMPL R9, $0xffc0
	JEQ 2(PC)
	INCQ CX
	FSTCW value-12(SP)
	MOVW value-12(SP), R9
	CMPW R9, $0x0c7f
	JEQ 2(PC)
	INCQ CX
	MOVQ X0, R9
	CMPQ R9, BX
	JEQ 2(PC)
	INCQ CX
	MOVQ X14, R9
	CMPQ R9, BX
	JEQ 2(PC)
	INCQ CX
	FMOVDP F0, value-16(SP)
	CMPQ AX, $0
	JEQ 2(PC)
	INCQ CX
	LDMXCSR old-8(SP)
	FLDCW saved-24(SP)
	XORPS X15, X15
	MOVQ CX, ret+24(FP)
	RET

// func sse(op, mxcsr uint64)
// With these exceptions unmasked: 0 divides by zero, 1 takes a root of -1, 2 overflows, 3 underflows, 4 rounds.
TEXT ·sse(SB), NOSPLIT, $16-16
	MOVQ op+0(FP), AX
	MOVQ mxcsr+8(FP), BX
	STMXCSR old-8(SP)
	MOVL BX, new-16(SP)
	MOVQ $0x3ff0000000000000, CX
	MOVQ CX, X0            // 1
	XORPS X1, X1
	MOVQ $0xbff0000000000000, CX
	MOVQ CX, X2            // -1
	MOVQ $0x7fe0000000000000, CX
	MOVQ CX, X3            // 2^1023
	MOVQ $0x0010000000000000, CX
	MOVQ CX, X4            // 2^-1022
	MOVQ $0x4008000000000000, CX
	MOVQ CX, X5            // 3
	LDMXCSR new-16(SP)
	CMPQ AX, $1
	JEQ sseInvalid
	CMPQ AX, $2
	JEQ sseOverflow
	CMPQ AX, $3
	JEQ sseUnderflow
	CMPQ AX, $4
	JEQ sseInexact
	DIVSD X1, X0
	JMP sseDone
sseInvalid:
	SQRTSD X2, X2
	JMP sseDone
sseOverflow:
	MULSD X3, X3
	JMP sseDone
sseUnderflow:
	MULSD X4, X4
	JMP sseDone
sseInexact:
	DIVSD X5, X0
sseDone:
	LDMXCSR old-8(SP)
	XORPS X15, X15
	RET

// func fpu(op, control uint64, call uintptr)
// The same by the x87, whose exceptions come with its next instruction that waits; call is a system call in between.
TEXT ·fpu(SB), NOSPLIT, $40-24
	MOVQ op+0(FP), BX
	MOVQ control+8(FP), AX
	FSTCW saved-24(SP)
	MOVW AX, new-32(SP)
	FLDCW new-32(SP)
	MOVQ $0x0000000000000001, AX
	MOVQ AX, tiny-16(SP)
	CMPQ BX, $1
	JEQ fpuInvalid
	CMPQ BX, $2
	JEQ fpuDenormal
	FLD1
	FLDZ
	FDIVDP F0, F1
	JMP fpuCall
fpuInvalid:
	FLDZ
	FLDZ
	FDIVDP F0, F1
	JMP fpuCall
fpuDenormal:
	FMOVD tiny-16(SP), F0
fpuCall:
	MOVQ call+16(FP), AX
	CMPQ AX, $0
	JEQ fpuWait
	LEAQ ·nap(SB), DI
	XORL SI, SI
	MOVL $35, AX
	SYSCALL
fpuWait:
	WAIT
	FMOVDP F0, tiny-16(SP)
	FINIT
	FLDCW saved-24(SP)
	RET

// func step()
// Three instructions with the trap flag.
TEXT ·step(SB), NOSPLIT, $8-0
	PUSHFQ
	ORQ $0x100, 0(SP)
	POPFQ
	XORL AX, AX
	INCL AX
	INCL AX
	INCL AX
	INCL AX
	INCL AX
	INCL AX
	INCL AX
	INCL AX
	RET

// func stepCall() uintptr
// Steps over a call of the kernel's; what of it is a step is not looked at.
TEXT ·stepCall(SB), NOSPLIT, $8-8
	MOVQ $1000, ·steps(SB)
	PUSHFQ
	ORQ $0x100, 0(SP)
	POPFQ
	MOVL $39, AX
	SYSCALL
	PUSHFQ
	ANDQ $~0x100, 0(SP)
	POPFQ
	MOVQ AX, ret+0(FP)
	RET

// func backwards(fd int, buffer *byte, length int) (n int)
// Reads with the direction flag set.
TEXT ·backwards(SB), NOSPLIT, $0-32
	MOVQ fd+0(FP), DI
	MOVQ buffer+8(FP), SI
	MOVQ length+16(FP), DX
	STD
	MOVL $0, AX
	SYSCALL
	CLD
	MOVQ AX, n+24(FP)
	RET

// func misaligned(fd int, buffer *byte, length int) (n int)
// Reads with the flag for alignment checks set.
TEXT ·misaligned(SB), NOSPLIT, $8-32
	MOVQ fd+0(FP), DI
	MOVQ buffer+8(FP), SI
	MOVQ length+16(FP), DX
	PUSHFQ
	ORQ $0x40000, 0(SP)
	POPFQ
	MOVL $0, AX
	SYSCALL
	PUSHFQ
	ANDQ $~0x40000, 0(SP)
	POPFQ
	MOVQ AX, n+24(FP)
	RET

// func modes(n int, wide bool) int
// Rare modes with vector registers in their initial state, which processors and kernels leave out of what they save. Gives
// a bit for each that changed: MXCSR, the x87's control word, a register.
TEXT ·modes(SB), NOSPLIT, $32-24
	MOVQ n+0(FP), CX
	STMXCSR old-8(SP)
	MOVL $0xffff, new-16(SP)
	FSTCW saved-24(SP)
	MOVW $0x0c7f, word-32(SP)
	CMPB wide+8(FP), $0
	JEQ narrow
	VZEROALL
narrow:
	XORPS X0, X0
	XORPS X15, X15
	LDMXCSR new-16(SP)
	FLDCW word-32(SP)
modesSpin:
	PAUSE
	DECQ CX
	JNZ modesSpin
	XORQ SI, SI
	STMXCSR value-12(SP)
	MOVL value-12(SP), AX
	CMPL AX, $0xffff
	JEQ 2(PC)
	ORQ $1, SI
	FSTCW value-12(SP)
	MOVW value-12(SP), AX
	CMPW AX, $0x0c7f
	JEQ 2(PC)
	ORQ $2, SI
	MOVQ X0, AX
	MOVQ X15, BX
	ORQ BX, AX
	JEQ 2(PC)
	ORQ $4, SI
	LDMXCSR old-8(SP)
	FLDCW saved-24(SP)
	MOVQ SI, ret+16(FP)
	RET
