b 1 {}
b a.c {}
b [1] {}
b "x" = 1
b "x
