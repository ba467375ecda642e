# A guest of 512 bytes: says B when it begins, then once a tick of its clock what it sees:
# '.' all well, 'd' no second disk, 'l' no link, 'x' neither.
        .code16
        .globl _start
_start:
        cli
        xorw %ax, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movw $0x7c00, %sp
        sti
        movw $0xb102, %ax        # PCI BIOS: find the card
        movw $0x8139, %cx
        movw $0x10ec, %dx
        xorw %si, %si
        int $0x1a
        movw $0xb109, %ax        # its base address of ports
        movw $0x10, %di
        int $0x1a
        andw $0xfffc, %cx
        movw %cx, %bp
        movb $'B', %al
        call say
beat:
        hlt                      # until the clock ticks
        movb $'.', %bl
        leaw 0x58(%bp), %dx      # media status
        inb %dx, %al
        testb $4, %al
        jz 1f
        movb $'l', %bl
1:      movw $0x0201, %ax        # read one sector of the second disk
        movw $1, %cx
        movw $0x0081, %dx
        pushw %bx
        movw $0x8000, %bx
        int $0x13
        popw %bx
        jnc 3f
        cmpb $'l', %bl
        movb $'d', %bl
        jne 3f
        movb $'x', %bl
3:      movb %bl, %al
        call say
        jmp beat
say:
        movw $0x3f8, %dx
        outb %al, %dx
        ret
        .org 510
        .word 0xaa55
