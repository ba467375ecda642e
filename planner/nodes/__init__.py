"""The steps of the loop: one small file each, functions of the state; what has effects can be repeated safely."""
