"""The passes, one file each: loop nest in, loop nest out."""
