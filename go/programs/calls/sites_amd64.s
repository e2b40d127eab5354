#include "textflag.h"

// func callBySharedCode(parent bool) int
TEXT ·callBySharedCode(SB), NOSPLIT, $0-16
	MOVBLZX parent+0(FP), CX
	MOVL $110, AX
	CMPL CX, $0
	JNE call
	MOVL $39, AX
call:
	SYSCALL
	MOVQ AX, ret+8(FP)
	RET

// func callAfterOther() int
TEXT ·callAfterOther(SB), NOSPLIT, $0-8
	MOVL $39, AX
	MOVL $4, R8
	SYSCALL
	MOVQ AX, ret+0(FP)
	RET
