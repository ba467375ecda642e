"""Virtual machines that libvirt keeps."""
