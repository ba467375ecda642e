"""Virtual machines under QEMU."""
