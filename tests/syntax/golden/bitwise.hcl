a = b & c
d = b | c
e = b ^ c
f = b ** c
g = b ?? c
h = ~b
