# C tasks through librota; the program and its shared object are built by make bench
exec ctask
